// Command gofloor is the least that an echo of ACS streaming in Go can do: one
// goroutine for each connection, which parses nothing. Whoever is faster than
// this does not use a goroutine for each connection, or no gorilla.
package main

import (
	"fmt"
	"io"
	"net"
	"net/http"

	"github.com/gorilla/websocket"
)

func main() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Printf("ws://%s/media\n", l.Addr())
	panic(http.Serve(l, http.HandlerFunc(serve)))
}

func serve(w http.ResponseWriter, r *http.Request) {
	up := websocket.Upgrader{ReadBufferSize: 2048, WriteBufferSize: 2048}
	ws, err := up.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	defer ws.Close()
	buf := make([]byte, 4096)
	for n := 0; ; n++ { // the first message is the metadata
		_, in, err := ws.NextReader()
		if err != nil {
			return
		}
		size, err := io.ReadFull(in, buf)
		if err != io.ErrUnexpectedEOF {
			return
		}
		if n > 0 && ws.WriteMessage(websocket.TextMessage, buf[:size]) != nil {
			return
		}
	}
}
