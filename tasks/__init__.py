"""One adapter per stage: read artifacts, call one library function, write one artifact."""
