"""What adults did: reviews, follow-up records, and how right the lists were."""
