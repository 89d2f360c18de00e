"""The messages of NVIDIA Riva's public speech interface: the same packages, names and numbers, so that its clients and
servers are understood.

The `.proto` files are ours; the modules beside them (`riva_asr_pb2` and so on) are generated at set-up and are not
under version control (`python -m antiphon.speech.protos.make`). Import them only where gRPC is used.
"""
