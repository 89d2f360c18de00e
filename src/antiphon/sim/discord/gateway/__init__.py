"""The gateway: WebSocket connections, the sessions behind them, and who is told what."""
