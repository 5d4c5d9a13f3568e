//! Documents as wholes: what is found in each kind, and that anything at all can be linted.
