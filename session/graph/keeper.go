package graph

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mixminus/mixminus/session"
)

// KeeperConfig configures a Keeper. Client and NotificationURL are needed; all
// else works as zero.
type KeeperConfig struct {
	Client *Client
	// NotificationURL is where a ChangeWebhook of this Keeper is served.
	// LifecycleURL is the same if empty.
	NotificationURL string
	LifecycleURL    string
	// Keys make notifications rich: they hold what changed, encrypted for the
	// current key. nil means basic ones, which name it only. The
	// ChangeWebhook must have the same.
	Keys *Keyring

	// Lifetime that is asked for, at least 45 min, which the service raises
	// shorter ones to, and at most 3 days; 0 means 70 h 30 min.
	Lifetime time.Duration
	// RenewBefore the end of a lifetime, but not in its first half; 0 means
	// half of Lifetime.
	RenewBefore time.Duration
	// MinRetry and MaxRetry bound the pause after a request that failed,
	// which doubles from one to the next; 0 means 1 s and 5 min.
	MinRetry, MaxRetry time.Duration
	// MaxWatches bounds how many can be kept; 0 means 1000.
	MaxWatches int
	// KeepOnClose leaves subscriptions standing on Close; else they are
	// deleted, so that the service does not post to nobody.
	KeepOnClose bool

	// OnEvent takes what becomes of the subscriptions, in order for each
	// watch, on a goroutine of that watch, which waits meanwhile. A panic is
	// logged. It must not call Remove or Close.
	OnEvent func(WatchEvent)
	// Clock of renewals and pauses; the client's Now must tell the same
	// time. Zero is the system's.
	Clock session.Clock
	// Logger gets failures; nil means silent.
	Logger *slog.Logger
}

// Watch is what a subscription is kept to.
type Watch struct {
	// Name by which the app knows it; empty means Resource.
	Name string
	// Resource: MeetingCallEvents.
	Resource string
	// ChangeType; empty means "updated".
	ChangeType string
}

// ErrTooManyWatches: MaxWatches are kept already.
var ErrTooManyWatches = errors.New("graph: keeper: too many watches")

// Keeper keeps subscriptions standing: it creates them, renews them well
// before they expire, obeys what the service tells of them, and creates those
// again that are gone. It is the Watcher of a ChangeWebhook, which must be
// served before Run: the service calls it before a subscription stands.
//
// One Keeper has a resource for itself among those with its NotificationURL: a
// subscription that it finds standing there is left from before and deleted,
// since nobody knows its client state.
//
// Each subscription has a client state of its own, 128 bits at random.
// Notifications that overtake the response which tells their subscription's id
// are known by it.
//
// It is safe for concurrent use.
type Keeper struct {
	// Static after construction.
	config KeeperConfig
	ctx    context.Context // of all loops
	cancel context.CancelFunc
	loops  sync.WaitGroup
	slots  chan struct{} // one element for each request under way

	// Guarded by mu.
	mu      sync.RWMutex
	watches map[string]*watch // by name
	byID    map[string]*watch // by Key of present and former ids
	running bool
	closed  bool
}

var _ Watcher = (*Keeper)(nil)

// maxRequests is how many requests a Keeper has under way at once.
const maxRequests = 16

// NewKeeper checks the configuration; it does no I/O.
func NewKeeper(config KeeperConfig) (*Keeper, error) {
	if config.Client == nil {
		return nil, errors.New("graph: keeper: Client is nil")
	}
	config.defaults()
	insecure := config.Client.config.Insecure
	for _, u := range []struct{ name, value string }{
		{"NotificationURL", config.NotificationURL}, {"LifecycleURL", config.LifecycleURL},
	} {
		if _, err := parseURL(u.name, u.value, insecure); err != nil {
			return nil, fmt.Errorf("graph: keeper: %w", err)
		}
	}
	switch {
	case config.Lifetime < 45*time.Minute || config.Lifetime > MaxEventsLifetime:
		return nil, fmt.Errorf("graph: keeper: Lifetime %v: want 45m to %v", config.Lifetime, MaxEventsLifetime)
	case config.RenewBefore < 0 || config.RenewBefore >= config.Lifetime:
		return nil, fmt.Errorf("graph: keeper: RenewBefore %v: want less than Lifetime, %v", config.RenewBefore, config.Lifetime)
	case config.MinRetry < 0 || config.MaxRetry < config.MinRetry || config.MaxWatches < 0:
		return nil, fmt.Errorf("graph: keeper: retries after %v to %v, %d watches: want them in order and not negative",
			config.MinRetry, config.MaxRetry, config.MaxWatches)
	}
	k := &Keeper{
		config: config, slots: make(chan struct{}, maxRequests),
		watches: map[string]*watch{}, byID: map[string]*watch{},
	}
	k.ctx, k.cancel = context.WithCancel(context.Background())
	return k, nil
}

func (c *KeeperConfig) defaults() {
	if c.LifecycleURL == "" {
		c.LifecycleURL = c.NotificationURL
	}
	if c.Lifetime == 0 {
		c.Lifetime = 70*time.Hour + 30*time.Minute
	}
	if c.RenewBefore == 0 {
		c.RenewBefore = c.Lifetime / 2
	}
	if c.MinRetry == 0 {
		c.MinRetry = time.Second
	}
	if c.MaxRetry == 0 {
		c.MaxRetry = max(5*time.Minute, c.MinRetry)
	}
	if c.MaxWatches == 0 {
		c.MaxWatches = 1000
	}
	if c.OnEvent == nil {
		c.OnEvent = func(WatchEvent) {}
	}
	if c.Clock.Now == nil {
		c.Clock.Now = time.Now
	}
	if c.Clock.NewTimer == nil {
		c.Clock.NewTimer = func(d time.Duration) (<-chan time.Time, func() bool) {
			t := time.NewTimer(d)
			return t.C, t.Stop
		}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
}

// Add begins to keep a watch, once Run runs. It does not wait for the
// subscription: OnEvent tells of it.
func (k *Keeper) Add(want Watch) error {
	if want.Name == "" {
		want.Name = want.Resource
	}
	if want.ChangeType == "" {
		want.ChangeType = "updated"
	}
	if strings.Trim(want.Resource, "/") == "" {
		return errors.New("graph: keeper: Resource is empty")
	}
	if err := checkChangeType(want.ChangeType); err != nil {
		return fmt.Errorf("graph: keeper: %w", err)
	}
	w := &watch{want: want, clientState: rand.Text(), wake: make(chan struct{}, 1), done: make(chan struct{})}
	w.ctx, w.cancel = context.WithCancel(k.ctx)
	k.mu.Lock()
	defer k.mu.Unlock()
	_, there := k.watches[want.Name]
	switch {
	case k.closed:
		return session.ErrClosed
	case there:
		return fmt.Errorf("graph: keeper: watch %q is kept already", clip(want.Name))
	case len(k.watches) >= k.config.MaxWatches:
		return fmt.Errorf("%w: %d", ErrTooManyWatches, len(k.watches))
	}
	k.watches[want.Name] = w
	if k.running {
		k.startLocked(w)
	}
	return nil
}

// startLocked starts the loop of a watch. mu must be held.
func (k *Keeper) startLocked(w *watch) {
	w.started = true
	k.loops.Go(func() { k.keepLoop(w) })
}

// Run keeps the watches until ctx ends, whose cause it then returns, or Close
// is called. It can be called once.
func (k *Keeper) Run(ctx context.Context) error {
	k.mu.Lock()
	if k.closed || k.running {
		k.mu.Unlock()
		return fmt.Errorf("graph: keeper: run twice or after close: %w", session.ErrClosed)
	}
	k.running = true
	for _, w := range k.watches {
		k.startLocked(w)
	}
	k.mu.Unlock()
	stop := context.AfterFunc(ctx, k.cancel)
	defer stop()
	<-k.ctx.Done()
	k.mu.Lock()
	k.closed = true // what is added now would never start
	k.mu.Unlock()
	k.loops.Wait()
	return context.Cause(ctx)
}

// Remove ends a watch and deletes its subscription. An unknown name is nil. If
// the service does not let go in time, the subscription expires by itself and
// its notifications are ignored.
func (k *Keeper) Remove(ctx context.Context, name string) error {
	k.mu.Lock()
	w := k.watches[name]
	if w == nil {
		k.mu.Unlock()
		return nil
	}
	delete(k.watches, name)
	k.forgetLocked(w)
	started := w.started
	k.mu.Unlock()
	w.cancel()
	if started {
		select {
		case <-w.done:
		case <-ctx.Done():
			return fmt.Errorf("graph: keeper: remove %q: %w", clip(name), context.Cause(ctx))
		}
	}
	return k.withdraw(ctx, w)
}

// Close ends all watches, waits for what runs, and deletes the subscriptions
// unless KeepOnClose.
func (k *Keeper) Close(ctx context.Context) error {
	k.mu.Lock()
	k.closed = true
	all := make([]*watch, 0, len(k.watches))
	for _, w := range k.watches {
		all = append(all, w)
	}
	clear(k.watches)
	k.mu.Unlock()
	k.cancel()
	done := make(chan struct{})
	go func() {
		k.loops.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-ctx.Done():
		return fmt.Errorf("graph: keeper: close: %w", context.Cause(ctx))
	}
	if k.config.KeepOnClose {
		return nil
	}
	errs := make([]error, len(all))
	var deleting sync.WaitGroup
	for i, w := range all {
		deleting.Go(func() { errs[i] = k.withdraw(ctx, w) })
	}
	deleting.Wait()
	return errors.Join(errs...)
}

// Rotate makes key the current one of Keys and gives it to all subscriptions.
// WatchStatus.CertificateID tells when one has it.
func (k *Keeper) Rotate(key ContentKey) error {
	if k.config.Keys == nil {
		return errors.New("graph: keeper: rotate: notifications are not rich, there are no Keys")
	}
	if err := k.config.Keys.Add(key); err != nil {
		return err
	}
	k.mu.RLock()
	defer k.mu.RUnlock()
	for _, w := range k.watches {
		w.kick()
	}
	return nil
}

// Snapshot tells how the watches stand, in the order of their names.
func (k *Keeper) Snapshot() []WatchStatus {
	k.mu.RLock()
	defer k.mu.RUnlock()
	all := make([]WatchStatus, 0, len(k.watches))
	for _, w := range k.watches {
		all = append(all, w.status())
	}
	slices.SortFunc(all, func(a, b WatchStatus) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// Lookup implements Watcher.
func (k *Keeper) Lookup(subscriptionID, clientState string) (Watched, error) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	if w := k.byID[Key(subscriptionID)]; w != nil {
		if !w.knows(clientState) {
			return Watched{}, ErrClientState
		}
		return Watched{Name: w.want.Name, Rich: k.config.Keys != nil}, nil
	}
	// It may have overtaken the response that tells its id.
	for _, w := range k.watches {
		if w.creating && w.knows(clientState) {
			return Watched{Name: w.want.Name, Rich: k.config.Keys != nil}, nil
		}
	}
	return Watched{}, ErrUnknownSubscription
}

func (w *watch) knows(clientState string) bool {
	return subtle.ConstantTimeCompare([]byte(w.clientState), []byte(clientState)) == 1
}

// Lifecycle implements Watcher. What is told of a subscription that another
// has taken the place of changes nothing.
func (k *Keeper) Lifecycle(name, subscriptionID string, event LifecycleEvent) {
	k.mu.Lock()
	defer k.mu.Unlock()
	w := k.watches[name]
	if w == nil {
		return
	}
	switch event {
	case LifecycleReauthorize:
		w.reauthorizeID = Key(subscriptionID)
	case LifecycleRemoved:
		w.removedID = Key(subscriptionID)
	case LifecycleMissed:
		w.missed = true
	default:
		return
	}
	w.kick()
}
