package cloud_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/mixminus/mixminus/bench/cloud"
)

// A bot is tested against an emulated resource: it gets the resource's URL and
// key, and is rung.
func ExampleServer() {
	ctx := context.Background()
	srv := &cloud.Server{EventsURL: "http://127.0.0.1:8080/events", Insecure: true}
	if err := srv.Start(ctx); err != nil {
		log.Fatal(err)
	}
	defer srv.Close()
	fmt.Println("endpoint:", srv.URL(), "key:", srv.AccessKey())

	script, err := cloud.Named(cloud.ThreeSpeakers, 15*time.Second)
	if err != nil {
		log.Fatal(err)
	}
	call, err := srv.Ring(ctx, cloud.Ring{Script: script})
	if err != nil {
		log.Fatal(err)
	}
	if err := call.Wait(ctx); err != nil {
		log.Fatal(err)
	}
	for _, sp := range call.Log().Speakers {
		fmt.Println(sp.RawID, "was to be heard from slot", sp.Start, "on")
	}
}
