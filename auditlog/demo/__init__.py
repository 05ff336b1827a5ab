"""The demo's book: a made-up company whose requests are the same whenever they are asked for."""
