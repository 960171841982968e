"""`berth serve`: the dashboard in a browser. Only this package speaks HTTP to browsers.

    gate.py     who may come in: token, cookie, Host, Origin
    page.py     what a browser gets to see, without a word from the internet
    tab.py      one tab: a dashboard of its own, as a child process
    server.py   requests -> gate -> page, websocket, download
    serve.py    the verb: where it listens, what it says, how it ends

The dashboard itself is `tui.web`, which the server starts by name: nothing here loads Textual.
"""
