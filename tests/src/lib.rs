//! What the tests of the whole share: a server under test, targets that answer what a test says, and a webhook receiver.
