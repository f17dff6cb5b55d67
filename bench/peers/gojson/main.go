// Command gojson is the echo of ACS streaming that one writes first in Go:
// gorilla's ReadMessage, and encoding/json both ways.
package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"

	"github.com/gorilla/websocket"
)

type audioData struct {
	Timestamp        string `json:"timestamp,omitempty"`
	ParticipantRawID string `json:"participantRawID,omitempty"`
	Data             []byte `json:"data"`
	Silent           bool   `json:"silent"`
}

type message struct {
	Kind      string     `json:"kind"`
	AudioData *audioData `json:"audioData,omitempty"`
}

func main() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Printf("ws://%s/media\n", l.Addr())
	panic(http.Serve(l, http.HandlerFunc(serve)))
}

func serve(w http.ResponseWriter, r *http.Request) {
	var up websocket.Upgrader
	ws, err := up.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	defer ws.Close()
	for {
		_, text, err := ws.ReadMessage()
		if err != nil {
			return
		}
		var in message
		if json.Unmarshal(text, &in) != nil || in.Kind != "AudioData" || in.AudioData == nil {
			continue
		}
		// A bot works on samples: Data is decoded here.
		out := message{Kind: "AudioData", AudioData: &audioData{Data: in.AudioData.Data}}
		if ws.WriteJSON(out) != nil {
			return
		}
	}
}
