//! Holds nothing: the examples are in the folders beside `src`, one each, and `run.sh` runs them all.
