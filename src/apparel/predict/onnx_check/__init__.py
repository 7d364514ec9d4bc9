"""An ONNX file, examined before a runtime sees it.

A runtime for ONNX is some hundred thousand lines of C++ that trust a file in much: it may name
other files to read, ask for any amount of memory, run loops without end, or reach code with known
holes. Files that `apparel export` wrote do none of this, and what they do is little. So a file is
read here in full, by a parser that knows the form of these files and nothing else, and is refused
if it has anything that they do not have:

- `wire`: the bytes, in a form that has one meaning only
- `operators`: which operators may occur, on which types, and the shape that each gives
- `graph`: constants with exactly the bytes that their shapes need, inputs and outputs as described,
  and the memory and time that an image may take at most

The weights themselves are not looked at. Needs the standard library only.
"""
