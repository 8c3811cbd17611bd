"""Retrieval: sentence embeddings, and a FAISS index of them whose bytes depend on its content alone."""
