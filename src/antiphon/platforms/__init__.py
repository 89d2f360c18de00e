"""The places where people are. Each platform takes text in (to `threads.inbox`) and delivers replies out."""
