package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/mixminus/mixminus/bench/load"
)

// A server is one of the peers: how it is started, and what it says of itself.
type server struct {
	name, what string
	command    func(*shed) (*exec.Cmd, error)
}

// servers are all, the floor first: the others are compared with it.
var servers = []server{
	{"floor", "Go, gorilla/websocket, parses nothing", func(s *shed) (*exec.Cmd, error) { return s.goServer("./bench/peers/gofloor") }},
	{"mixminus", "mixminus serve --bot echo", (*shed).mixminus},
	{"go-json", "Go, gorilla/websocket, encoding/json", func(s *shed) (*exec.Cmd, error) { return s.goServer("./bench/peers/gojson") }},
	{"node", "Node, ws 8.18.0, StreamingData.parse of Microsoft's SDK 1.6.0", (*shed).node},
	{"python", "Python, asyncio, websockets, json", (*shed).python},
}

func serverNames() (names []string) {
	for _, s := range servers {
		names = append(names, s.name)
	}
	return names
}

// A shed is where servers are built and started.
type shed struct {
	root, dir, binary string
}

func newShed(binary string) (*shed, error) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return nil, fmt.Errorf("go list -m: %w: run it inside the module", err)
	}
	dir, err := os.MkdirTemp("", "mixminus-peers-")
	if err != nil {
		return nil, err
	}
	return &shed{root: strings.TrimSpace(string(out)), dir: dir, binary: binary}, nil
}

func (s *shed) close() { _ = os.RemoveAll(s.dir) }

// pick returns servers by name. One that cannot run here is left out, and says
// so.
func (s *shed) pick(names []string) (picked []server, err error) {
	for _, name := range names {
		found := false
		for _, v := range servers {
			if v.name != name {
				continue
			}
			found = true
			if _, err := v.command(s); err != nil {
				fmt.Fprintf(os.Stderr, "without %s: %v\n", name, err)
				continue
			}
			picked = append(picked, v)
		}
		if !found {
			return nil, fmt.Errorf("-servers %q: want some of %s", name, strings.Join(serverNames(), ","))
		}
	}
	return picked, nil
}

// goServer builds a command of this module, once.
func (s *shed) goServer(pkg string, args ...string) (*exec.Cmd, error) {
	bin := filepath.Join(s.dir, filepath.Base(pkg))
	if _, err := os.Stat(bin); err != nil {
		build := exec.Command("go", "build", "-o", bin, pkg)
		build.Dir = s.root
		if out, err := build.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("go build %s: %w: %s", pkg, err, out)
		}
	}
	return exec.Command(bin, args...), nil
}

func (s *shed) mixminus() (*exec.Cmd, error) {
	args := []string{"serve", "--bot", "echo", "--insecure", "--json", "--recordings", "", "--listen", "127.0.0.1:0"}
	cmd := exec.Command(s.binary, args...)
	if s.binary == "" {
		var err error
		if cmd, err = s.goServer("./cmd/mixminus", args...); err != nil {
			return nil, err
		}
	}
	cmd.Env = append(os.Environ(), "MIXMINUS_ACS_KEY=bG9jYWwtZW11bGF0b3Itc2VjcmV0")
	return cmd, nil
}

func (s *shed) node() (*exec.Cmd, error) {
	dir := filepath.Join(s.root, "bench", "peers", "node")
	if _, err := os.Stat(filepath.Join(dir, "node_modules")); err != nil {
		return nil, errors.New("run npm ci in bench/peers/node")
	}
	cmd := exec.Command("node", "server.mjs")
	cmd.Dir = dir
	return cmd, cmd.Err
}

// python finds one that has websockets; Debian's does, by python3-websockets.
func (s *shed) python() (*exec.Cmd, error) {
	for _, python := range []string{"python3", "/usr/bin/python3"} {
		if exec.Command(python, "-c", "import websockets").Run() == nil {
			return exec.Command(python, filepath.Join(s.root, "bench", "peers", "python", "server.py")), nil
		}
	}
	return nil, errors.New("no python3 has the module websockets")
}

// startTime bounds how long a server may take until it says where it is.
const startTime = 30 * time.Second

// measure starts a server, drives it, and ends it.
func (s *shed) measure(ctx context.Context, v server, calls int, d time.Duration) (rep *load.Report, err error) {
	cmd, err := v.command(s)
	if err != nil {
		return nil, err
	}
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := startOn(cmd, serverCPU()); err != nil {
		return nil, err
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // says that it was killed
	}()
	timer := time.AfterFunc(startTime, func() { _ = cmd.Process.Kill() })
	line, err := bufio.NewReader(out).ReadString('\n')
	timer.Stop()
	if err != nil {
		return nil, fmt.Errorf("it did not say where it listens: %w", err)
	}
	go func() { _, _ = io.Copy(io.Discard, out) }()
	return load.Run(ctx, load.Config{URL: address(line), Calls: calls, Duration: d, PIDs: []int{cmd.Process.Pid}})
}

// address is the URL of media in what a server prints first.
func address(line string) string {
	var ready struct{ Media string }
	if json.Unmarshal([]byte(line), &ready) == nil {
		return ready.Media
	}
	return strings.TrimSpace(line)
}
