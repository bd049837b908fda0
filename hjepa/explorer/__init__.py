"""The explorer: one page, without a network, that plays what agents of any number of levels imagined and did.

Data and page are apart. `hjepa.explorer.recording` plays agents and gives the data, plain values as
`hjepa.explorer.schema` documents them; `hjepa.explorer.page` puts them into the page with its style and script.
`hjepa.explorer.player` is the same page for one trace, inside a notebook.
"""
