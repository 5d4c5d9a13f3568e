//! What comes out of the PKI is what its names say, judged by openssl's eyes where ours would be biased.
