"""Which switches of a flat program are kinks, decided by identities and proofs."""
