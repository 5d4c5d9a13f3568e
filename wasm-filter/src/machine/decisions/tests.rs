//! Eviction and counting of the cache.
