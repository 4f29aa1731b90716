"""The web door: sign-in, the guard before every request and websocket, and what answers without Streamlit."""
