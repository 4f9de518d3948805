"""Eight real hosts behind a link with a round trip of 50 ms: one fleet for all files here, for its set-up is dear."""
