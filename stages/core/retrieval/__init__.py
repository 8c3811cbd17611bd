"""Retrieval: which record answers a question, by its words or by embeddings in a FAISS index."""
