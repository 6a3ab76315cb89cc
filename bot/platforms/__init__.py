"""The chat platforms: everything that knows a chat library, one module or package each."""
