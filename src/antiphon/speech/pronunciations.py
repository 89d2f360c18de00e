"""How words sound that the dictionary of pocketsphinx lacks, in its alphabet (ARPAbet). Used by `stt/pocketsphinx`."""

PRONUNCIATIONS = {
    "antiphon": "AE N T IH F AA N",
    "unmute": "AH N M Y UW T",
    "unban": "AH N B AE N",
    "summarise": "S AH M ER AY Z",
    "timezone": "T AY M Z OW N",
    "chatbot": "CH AE T B AA T",
    "chatgpt": "CH AE T JH IY P IY T IY",
    "uptime": "AH P T AY M",
    "undeafen": "AH N D EH F AH N",
}
