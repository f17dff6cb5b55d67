// Package load drives a media server as many calls at once would, and measures
// what becomes of each frame. It plays the cloud: it dials the bot's WebSocket,
// sends 20 ms of speech on an absolute schedule, and expects each frame back.
//
// Every frame carries a mark, its speaker and sequence number, in the lowest
// bits of its samples. So each frame that comes back is matched with the moment
// at which it was due, and what is lost, doubled or out of order is counted
// exactly.
//
// Latency is measured from when a frame was due, not from when it left: a
// server that makes its caller wait does not get the waiting for free
// (coordinated omission). How late the generator itself was is measured beside
// it, and a report whose generator was late blames nobody.
//
// A run has few threads: by default one that writes, asleep in
// clock_nanosleep until the next frame is due, and one that reads, asleep in
// epoll. Elsewhere than on Linux, and with TLS, goroutines stand in for them,
// at a higher cost and with greater lateness. Over WebRTC the same thread
// writes, through Pion, and goroutines of Pion's read.
//
// It shares no code with the product, never judges audio (package signal
// does), and never logs.
package load
