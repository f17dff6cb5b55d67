package cloud

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

// changeBot is an app: a handler behind a transport in memory, so that tests
// run in synthetic time.
type changeBot struct {
	t      *testing.T
	c      changes
	app    changeApp
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu sync.Mutex
	// answer serves everything but handshakes; nil means 202.
	answer func(w http.ResponseWriter, r *http.Request)
	prove  func(w http.ResponseWriter, r *http.Request) // serves handshakes
	got    []changePost
}

// changePost is what the app was sent.
type changePost struct {
	at   time.Time
	path string
	body map[string]any
}

type handlerTransport http.HandlerFunc

func (h handlerTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	rec, done := httptest.NewRecorder(), make(chan struct{})
	go func() {
		defer close(done)
		h(rec, r)
	}()
	select {
	case <-done:
		return rec.Result(), nil
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
}

func echoToken(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/plain")
	_, _ = io.WriteString(w, r.URL.Query().Get("validationToken"))
}

func newChangeBot(t *testing.T, configure func(*changesConfig)) *changeBot {
	t.Helper()
	b := &changeBot{t: t, prove: echoToken, app: changeApp{
		ID: "2e5e4ae7-9f0e-4d1a-8f5a-0f1a5a9d1c11", TenantID: changeTenant, Roles: []string{"OnlineMeetings.Read.All"},
	}}
	iss, err := newIssuer(testKey(), "", "")
	require.NoError(t, err)
	cfg := changesConfig{wg: &b.wg, client: &http.Client{Transport: handlerTransport(b.serve)}, issuer: iss}
	cfg.ctx, b.cancel = context.WithCancel(context.Background())
	if configure != nil {
		configure(&cfg)
	}
	b.c.init(cfg)
	return b
}

func (b *changeBot) close() {
	b.cancel()
	b.wg.Wait()
}

func (b *changeBot) serve(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	prove, answer := b.prove, b.answer
	b.mu.Unlock()
	if r.URL.Query().Has("validationToken") {
		prove(w, r)
		return
	}
	p := changePost{at: time.Now(), path: r.URL.RequestURI()}
	if json.NewDecoder(r.Body).Decode(&p.body) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	b.mu.Lock()
	b.got = append(b.got, p)
	b.mu.Unlock()
	if answer == nil {
		w.WriteHeader(http.StatusAccepted)
		return
	}
	answer(w, r)
}

func (b *changeBot) set(answer func(w http.ResponseWriter, r *http.Request)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.answer = answer
}

func (b *changeBot) proveBy(prove http.HandlerFunc) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.prove = prove
}

// posts returns and forgets what came.
func (b *changeBot) posts() []changePost {
	b.mu.Lock()
	defer b.mu.Unlock()
	got := b.got
	b.got = nil
	return got
}

// do makes a request of beta.
func (b *changeBot) do(method, path string, body any) (int, map[string]any) {
	b.t.Helper()
	return b.doAs(b.app, "beta", method, path, body)
}

func (b *changeBot) doAs(app changeApp, version, method, path string, body any) (int, map[string]any) {
	b.t.Helper()
	text, ok := body.(string)
	if !ok && body != nil {
		text = string(marshal(body))
	}
	resp := b.c.serve(app, version, method, "/subscriptions"+path, []byte(text))
	return resp.status, b.written(resp)
}

// written is what a client reads of a response, nil if nothing.
func (b *changeBot) written(resp *response) (v map[string]any) {
	b.t.Helper()
	if resp.failure != nil {
		resp.failure.RequestID, resp.failure.ClientRequestID = uuid.NewString(), uuid.NewString()
		resp = resp.withFailure()
	}
	if resp.body != nil {
		require.NoError(b.t, json.Unmarshal(resp.body, &v), "%s", resp.body)
	}
	return v
}

// request is the document's request with a receiver, times and a certificate
// that are real. A nil value takes a property out.
func (b *changeBot) request(more map[string]any) map[string]any {
	b.t.Helper()
	var m map[string]any
	require.NoError(b.t, json.Unmarshal(changeSeed(b.t, "events-subscription-request.json"), &m))
	m["notificationUrl"], m["lifecycleNotificationUrl"] = "https://bot.test/notify?key=1", "https://bot.test/lifecycle"
	m["encryptionCertificate"], m["encryptionCertificateId"] = testCertificate(b.t), "first"
	m["clientState"], m["expirationDateTime"] = "secret", graphDate(time.Now().Add(72*time.Hour))
	for name, value := range more {
		if m[name] = value; value == nil {
			delete(m, name)
		}
	}
	return m
}

// subscribe creates a subscription and returns its id.
func (b *changeBot) subscribe(more map[string]any) string {
	b.t.Helper()
	status, v := b.do("POST", "", b.request(more))
	require.Equal(b.t, 201, status, v)
	return v["id"].(string)
}

var makeCertificate = sync.OnceValues(func() ([]byte, error) { return certify(testKey(), &testKey().PublicKey) })

func certify(signer *rsa.PrivateKey, key any) ([]byte, error) {
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "bot"}}
	return x509.CreateCertificate(rand.Reader, template, template, key, signer)
}

func testCertificate(t *testing.T) string {
	t.Helper()
	der, err := makeCertificate()
	require.NoError(t, err)
	return base64.StdEncoding.EncodeToString(der)
}

var (
	errSignature = errors.New("signature")
	errData      = errors.New("data")
	errPadding   = errors.New("padding")
)

// decryptChange does what the documents tell a receiver to do.
func decryptChange(t *testing.T, item map[string]any) (map[string]any, error) {
	t.Helper()
	content := item["encryptedContent"].(map[string]any)
	field := func(name string) []byte {
		raw, err := base64.StdEncoding.DecodeString(content[name].(string))
		require.NoError(t, err)
		return raw
	}
	der, err := makeCertificate()
	require.NoError(t, err)
	sum := sha1.Sum(der)
	require.Equal(t, strings.ToUpper(hex.EncodeToString(sum[:])), content["encryptionCertificateThumbprint"])
	key, err := rsa.DecryptOAEP(sha1.New(), nil, testKey(), field("dataKey"), nil)
	require.NoError(t, err)
	require.Len(t, key, 32)
	data := field("data")
	mac := hmac.New(sha256.New, key)
	mac.Write(data)
	if !hmac.Equal(mac.Sum(nil), field("dataSignature")) {
		return nil, errSignature
	}
	block, err := aes.NewCipher(key)
	require.NoError(t, err)
	if len(data) == 0 || len(data)%16 != 0 {
		return nil, errData
	}
	cipher.NewCBCDecrypter(block, key[:16]).CryptBlocks(data, data)
	pad := int(data[len(data)-1])
	if pad == 0 || pad > 16 {
		return nil, errPadding
	}
	var v map[string]any
	require.NoError(t, json.Unmarshal(data[:len(data)-pad], &v))
	return v, nil
}

// items are the notifications of a request.
func (p changePost) items() (out []map[string]any) {
	for _, v := range p.body["value"].([]any) {
		out = append(out, v.(map[string]any))
	}
	return out
}
