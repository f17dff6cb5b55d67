package bench

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// The house has six floors, one per top-level folder, and imports run only
// downward:
//
//	cmd → bench → session → transport → engine → codec
//
// The tables below say so package by package, and the tests of this file hold
// the source to them. house_tree_test.go reads the tree, house_rules_test.go
// applies the tables, and house_self_test.go breaks every rule once, to prove
// that it bites.
//
// Packages are written by their path below the module, imports of others in
// full. "x/..." is x and everything below it. A field may hold several, with
// spaces between.
//
// Test files may import whatever they like, upward too: the test of a
// transport may be played by the emulator of the cloud. The exceptions are
// the bans marked tests: a test of the emulator that borrows our parser loses
// what the emulator is for.

const (
	module = "github.com/mixminus/mixminus"

	leaves  = "engine/pcm engine/ring engine/mix engine/dsp "
	sinks   = "engine/record engine/transcribe "
	drivers = "transport/acsws transport/rtpio transport/rtc transport/speech "
	media   = "engine codec/... transport transport/rtpmedia " + leaves
	below   = "codec/... engine/... transport/... session/... bench/... "

	network = "net/..."
)

// folders are the only ones that may stand at the top, dot folders aside.
const folders = "cmd bench session transport engine codec docs"

// A room says what of ours the packages at a place may import. The first room
// that fits counts. A package that fits none is a fault: the house has a
// place for everything, and a new place is a decision to be written down here.
type room struct {
	at  string
	may string
	why string
}

var rooms = []room{
	{"codec", "codec/...", "the table of codecs names its codecs and knows nothing else"},
	{"codec/wav", "codec/l16", "a container knows its payload and nothing else"},
	{"codec/...", "", "a codec is arithmetic on slices and stands alone"},

	{leaves, "engine/pcm", "a leaf of the engine knows the frame and nothing else"},
	{"engine", leaves, "the engine is made of its leaves"},
	{sinks, "engine codec/wav " + leaves, "a sink drains taps and knows neither call nor network"},
	{"engine/enginetest", "engine/... codec/...", "a conformance suite knows what it tests"},

	{"transport", "engine codec/... " + leaves, "transport holds the words that its drivers share"},
	{"transport/rtpmedia", "codec/... engine/pcm", "rtpmedia turns packets into frames and knows no leg"},
	{"transport/rtpleg", media, "rtpleg binds RTP streams to a leg, for whoever brings the packets"},
	{"transport/speech", media + "engine/transcribe", "speech carries audio to a recognizer"},
	{"transport/rtpio transport/rtc", media + "transport/rtpleg", "a driver of RTP brings packets, and leaves their media to rtpleg"},
	{drivers + "transport/transporttest", media, "a transport moves bytes to frames and knows no call"},

	{"session", "engine transport " + sinks, "session binds a call to its leg through words alone"},
	{"session/blob", "", "the blob is a document: built, parsed, checked"},
	{"session/oidc", "", "a token is judged by its issuer's keys, whichever cloud it is of"},
	{"session/hook", "session session/oidc", "webhooks judge a request alike before they read their own cloud's events"},
	{"session/rest", "session", "requests are sent alike, whatever they say"},
	{"session/ops", "", "an operation's two ends are tied together alike, whatever it does"},
	{"session/acs session/graph", "session session/blob session/hook session/oidc session/ops session/rest transport", "a cloud's client speaks that cloud's JSON and session's words"},
	{"session/offer", "session/rest transport", "an offer is judged alike at every path to which it may be posted"},
	{"session/listen", "session session/guard session/offer session/rest engine transport", "who listens in is found by session's words; what is heard is moved by the engine"},
	{"session/rtp", "session session/guard session/offer session/rest session/ops transport", "RTP has no cloud behind it: who brings its streams is told in an interface of session/rtp"},
	{"session/guard", "", "who may drive this host is told by the request, whatever it asks for"},
	{"session/metrics", "session engine transport " + sinks, "metrics are read off the words of whoever counts, and count nothing"},
	{"session/api session/dashboard", "session session/guard", "the control API shows snapshots of session"},

	{"bench/signal/...", "codec/... engine/pcm bench/signal/...", "signals and detectors judge the product, so they share nothing with it"},
	{"bench/netem", "", "an impaired network is arithmetic on packets"},
	{"bench/netem/proxy", "bench/netem", "a proxy puts the network between two sockets and knows no packet"},
	{"bench/cloud", "codec/... engine/pcm bench/signal/... bench/netem", "the emulator is written against the documents"},
	{"bench/cloud/page", "", "the page speaks to the emulator by HTTP, as anybody's would"},
	{"bench/phone", "codec/... engine/pcm bench/signal/... bench/netem", "a phone that shares our RTP proves only that we agree with ourselves"},
	{"bench/load", "codec/... bench/signal/... bench/netem bench/cloud", "load is the other side of the wire"},
	{"bench/peers/...", "codec/... engine/pcm bench/...", "a peer is what a user would write or pick instead"},
	{"bench/baseline", "", "a baseline runs the benchmarks by their names, as anybody would"},
	{"bench bench/demo", below, "the bench sees everything but the commands"},

	{"cmd/...", below + "cmd/...", "cmd wires what stands below"},
}

// A ban gives the reason why some imports are wrong in some packages; the
// first that fits counts. For imports of ours it only explains what rooms
// forbids already; imports of others are forbidden here alone.
type ban struct {
	in     string
	never  string
	except string
	tests  bool // holds for test files too
	why    string
}

const (
	ourselves = "proves only that we agree with ourselves; golden JSON is shared, code is not"
	downward  = "arrows run downward only: cmd, bench, session, transport, engine, codec"
)

var bans = []ban{
	{in: "codec/...", never: network + " time os", why: "a codec has no clock and does no I/O"},
	{in: "codec/...", never: "engine/... transport/... session/... bench/...", why: downward},

	{in: "engine/...", never: network, except: "net/url", why: "the engine knows no network"},
	{in: "engine/...", never: "transport/... session/... bench/...", why: downward},
	{in: leaves, never: "engine " + sinks, why: "leaves are below the engine: whoever pulls them up makes a circle"},

	{in: "transport/rtpmedia", never: "engine transport", why: "rtpmedia is shared by rtpio and rtc, and belongs to neither"},
	{in: "transport/rtpleg", never: network, except: "net/netip", why: "rtpleg is shared by rtpio and rtc, which have the sockets"},
	{in: "transport", never: drivers, why: "the words must not know who speaks them"},
	{in: drivers, never: drivers, why: "transports must not know each other: what two of them share belongs in transport or rtpmedia"},
	{in: "transport/...", never: "session/... bench/...", why: downward},

	{in: "session", never: leaves, why: "session never touches a sample"},
	{in: "session", never: drivers, why: "session asks transport.Transport; who answers is wired in cmd"},
	{in: "session", never: "session/...", why: "session declares Cloud and knows no vendor's JSON: the clouds import session"},
	{in: "session", never: "github.com/pion/... github.com/gorilla/...", why: "session controls calls, the transports carry their media"},
	{in: "session/acs", never: "session/graph session/rtp", why: "twins must not know each other: each cloud has its own habits"},
	{in: "session/graph", never: "session/acs session/rtp", why: "twins must not know each other: each cloud has its own habits"},
	{in: "session/acs session/graph", never: drivers + "engine/...", why: "a cloud's client signals; media is bound to the leg by session"},
	{in: "session/rtp", never: "session/acs session/graph", why: "twins must not know each other: each cloud has its own habits"},
	{in: "session/rtp", never: drivers + "engine/...", why: "session/rtp declares the Media that carries its streams; who that is is wired in cmd"},
	{in: "session/listen", never: leaves + sinks, why: "the engine lets a leg hear another (engine.Listen): no sample is touched here"},
	{in: "session/offer session/listen", never: drivers, why: "offer.Media says what answers offers; who that is is wired in cmd"},
	{in: "session/api session/dashboard session/listen session/offer", never: "session/graph session/acs session/rtp", why: "whoever watches calls must not care which cloud carries them"},
	{in: "session/...", never: "bench/...", why: downward},

	{in: "bench/cloud", never: "session/...", tests: true, why: "an emulator that shares our parser " + ourselves},
	{in: "bench/cloud", never: "transport/...", tests: true, why: "an emulator that shares our wire " + ourselves},
	{in: "bench/cloud", never: "engine engine/mix", tests: true, why: "an emulator that sums with our mixer " + ourselves},
	{in: "bench/phone", never: "session/... transport/... engine engine/mix", tests: true, why: "a phone that shares our RTP " + ourselves},
	{in: "bench/load", never: "session/... transport/... engine engine/mix", tests: true, why: "a load generator that shares our code " + ourselves},
	{in: "bench/signal/...", never: "session/... transport/... engine", tests: true, why: "a detector that shares our code " + ourselves},
	{in: "bench/peers/...", never: "session/... transport/... engine", why: "a peer made of our parts measures us against ourselves"},

	{in: "codec/... engine/... transport/... session/... bench/...", never: "cmd/...", why: "cmd holds wiring, and nobody imports wiring"},
	{in: "codec/... engine/... transport/... session/... bench/... cmd/...", never: "github.com/microsoftgraph/...", why: "194 MB of generated code; it is a test client, in a module of its own below bench"},
}

// Cores are sans-IO: bytes and time come in as arguments, results go out as
// values. That is what makes them testable in microseconds and replayable
// from a seed. A core is a package or a single file.
type core struct {
	at     string
	except string // imports allowed all the same
	why    string
}

var cores = []core{
	{"codec/...", "", "a codec runs on its caller's goroutine and time"},
	{"engine/ring", "sync/atomic", "the ring's two sides meet in atomics alone"},
	{"engine/pcm engine/mix engine/dsp", "", "a leaf of the engine runs on its caller's goroutine and time"},
	{"transport/rtpmedia", "github.com/pion/rtp", "jitter is replayed from captures: time is an argument"},
	{"transport/rtpio/sdp.go transport/rtpio/sdpparse.go transport/rtpio/sdpmedia.go transport/rtpio/sdpoffer.go transport/rtpio/sdpwrite.go", "github.com/pion/sdp/v3 net/netip", "an offer is bytes in, an answer bytes out"},
	{"transport/acsws/wire.go transport/acsws/frame.go", "", "the wire format is bytes in, values out"},
	{"session/acs/wire.go session/graph/wire.go", "", "the wire format is bytes in, values out"},
	{"session/state.go session/phase.go session/roster.go session/event.go", "", "the call machine is step(event, now): deadlines are inputs"},
	{"session/blob", "", "the blob is a document: bytes in, values out"},
	{"bench/cloud/script.go", "", "a script is played against any clock"},
	{"bench/netem", "", "an impaired network is replayed from its seed"},
}

const (
	coreNever  = network + " sync/... github.com/pion/... github.com/gorilla/..."
	coreExcept = "net/url"

	// Functions of package time that read the clock or wait for it.
	clock = "Now Since Until After AfterFunc NewTicker NewTimer Sleep Tick"
)

// Names that say nothing about what is inside.
const nameless = "util utils common helper helpers misc shared"

// Methods whose contract is that of fmt, so that a comment would only repeat
// the name.
const undocumented = "Error String"

func TestHouse(t *testing.T) {
	tree, err := readTree(os.DirFS(".."))
	require.NoError(t, err)
	require.Contains(t, tree.folders, "bench", "the tree was read from the wrong place")
	require.NotEmpty(t, tree.sources)
	for _, r := range rules {
		t.Run(r.name, func(t *testing.T) {
			for _, fault := range r.check(tree) {
				t.Error(fault)
			}
		})
	}
}
