"""The FaceAPI baseline: what it needs, its evaluation in shards, and a user's own script in its place."""
