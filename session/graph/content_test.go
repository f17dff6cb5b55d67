package graph

import (
	"bytes"
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// richFile reads one of the files that OpenSSL made.
func richFile(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "rich", name))
	require.NoError(t, err)
	return data
}

// richKey is a published key of tests with its certificate, "a" or "b".
func richKey(t testing.TB, id string) ContentKey {
	t.Helper()
	key, err := ParseContentKey(id, append(richFile(t, "key-"+id+".pem"), richFile(t, "cert-"+id+".pem")...))
	require.NoError(t, err)
	return key
}

// seal encrypts as the service does; pad is put behind the plain text as it
// is, nil means what PKCS #7 says.
func seal(t testing.TB, key ContentKey, plain, pad []byte) *EncryptedContent {
	t.Helper()
	if pad == nil {
		n := aes.BlockSize - len(plain)%aes.BlockSize
		pad = bytes.Repeat([]byte{byte(n)}, n)
	}
	k := make([]byte, 32)
	_, _ = rand.Read(k)
	block, err := aes.NewCipher(k)
	require.NoError(t, err)
	data := append(bytes.Clone(plain), pad...)
	cipher.NewCBCEncrypter(block, k[:16]).CryptBlocks(data, data)
	mac := hmac.New(sha256.New, k)
	mac.Write(data)
	wrapped, err := rsa.EncryptOAEP(sha1.New(), rand.Reader, key.Private.Public().(*rsa.PublicKey), k, nil)
	require.NoError(t, err)
	text := base64.StdEncoding.EncodeToString
	return &EncryptedContent{
		Data: text(data), DataSignature: text(mac.Sum(nil)), DataKey: text(wrapped),
		EncryptionCertificateID: key.ID, EncryptionCertificateThumbprint: key.Thumbprint(),
	}
}

// TestContentOfOpenSSL: nothing of what encrypted these is ours.
func TestContentOfOpenSSL(t *testing.T) {
	ring, err := NewKeyring(richKey(t, "a"), richKey(t, "b"))
	require.NoError(t, err)
	all, err := ParseCaptured(richFile(t, "notification.json"))
	require.NoError(t, err)
	require.Len(t, all, 2)
	for i, name := range []string{"plain-0.json", "plain-1.json"} {
		got, err := ring.Decrypt(all[i].EncryptedContent)
		require.NoError(t, err)
		require.Equal(t, string(richFile(t, name)), string(got))
	}
	_, err = all[0].EncryptedContent.Decrypt(richKey(t, "b").Private)
	require.ErrorContains(t, err, "dataKey of 256 bytes: want 384")
}

// flipped changes one bit in the middle of a base64 text.
func flipped(t *testing.T, text string) string {
	b, err := base64.StdEncoding.DecodeString(text)
	require.NoError(t, err)
	b[len(b)/2] ^= 1
	return base64.StdEncoding.EncodeToString(b)
}

// cut takes the last n bytes off a base64 text.
func cut(t *testing.T, text string, n int) string {
	b, err := base64.StdEncoding.DecodeString(text)
	require.NoError(t, err)
	return base64.StdEncoding.EncodeToString(b[:len(b)-n])
}

// TestBadContentIsOneError: whatever is wrong behind the sizes, nobody learns
// which it was.
func TestBadContentIsOneError(t *testing.T) {
	key := richKey(t, "a")
	stranger, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	plain := []byte(`{"eventType":"callStarted"}`)
	block := func(last ...byte) []byte { return append(make([]byte, 16-len(last)), last...) }
	for name, c := range map[string]*EncryptedContent{
		"signature":           seal(t, key, plain, nil),
		"data":                seal(t, key, plain, nil),
		"truncated data":      seal(t, key, plain, nil),
		"key":                 seal(t, key, plain, nil),
		"another's key":       seal(t, ContentKey{ID: "a", Private: stranger}, plain, nil),
		"padding of 0":        seal(t, key, nil, block(0)),
		"padding of 17":       seal(t, key, nil, append(block(), bytes.Repeat([]byte{17}, 16)...)),
		"padding of 255":      seal(t, key, nil, block(255)),
		"padding that breaks": seal(t, key, nil, block(3, 2, 3)),
	} {
		switch name {
		case "signature":
			c.DataSignature = flipped(t, c.DataSignature)
		case "data":
			c.Data = flipped(t, c.Data)
		case "truncated data":
			c.Data = cut(t, c.Data, 16)
		case "key":
			c.DataKey = flipped(t, c.DataKey)
		}
		_, err := c.Decrypt(key.Private)
		require.Equal(t, ErrContent, err, name)
	}
	short := seal(t, key, plain, nil)
	wrapped, err := rsa.EncryptOAEP(sha1.New(), rand.Reader, key.Private.Public().(*rsa.PublicKey), make([]byte, 16), nil)
	require.NoError(t, err)
	short.DataKey = base64.StdEncoding.EncodeToString(wrapped)
	_, err = short.Decrypt(key.Private)
	require.Equal(t, ErrContent, err)

	whole, err := seal(t, key, plain, bytes.Repeat([]byte{5}, 5)).Decrypt(key.Private)
	require.NoError(t, err)
	require.Equal(t, plain, whole)
	whole, err = seal(t, key, plain[:16], bytes.Repeat([]byte{16}, 16)).Decrypt(key.Private)
	require.NoError(t, err)
	require.Equal(t, plain[:16], whole)
}

// TestContentOfWrongSize: what shows without a key is told by name.
func TestContentOfWrongSize(t *testing.T) {
	key := richKey(t, "a")
	for want, change := range map[string]func(*EncryptedContent){
		"data is missing":               func(c *EncryptedContent) { c.Data = "" },
		"dataSignature is missing":      func(c *EncryptedContent) { c.DataSignature = "" },
		"dataKey is missing":            func(c *EncryptedContent) { c.DataKey = "" },
		"data is not base64":            func(c *EncryptedContent) { c.Data = "*" },
		"dataSignature is not base64":   func(c *EncryptedContent) { c.DataSignature = "{}" },
		"dataKey is not base64":         func(c *EncryptedContent) { c.DataKey = "=" },
		"data of 31 bytes":              func(c *EncryptedContent) { c.Data = cut(t, c.Data, 1) },
		"dataSignature of 31 bytes":     func(c *EncryptedContent) { c.DataSignature = cut(t, c.DataSignature, 1) },
		"dataKey of 255 bytes: want 25": func(c *EncryptedContent) { c.DataKey = cut(t, c.DataKey, 1) },
	} {
		c := seal(t, key, []byte(`{"eventType":"callStarted"}`), nil)
		change(c)
		_, err := c.Decrypt(key.Private)
		require.ErrorContains(t, err, want)
	}
	_, err := seal(t, key, nil, nil).Decrypt(notRSA{})
	require.ErrorContains(t, err, "want an RSA key")
}

// notRSA is a crypto.Decrypter of another kind.
type notRSA struct{ crypto.Decrypter }

func (notRSA) Public() crypto.PublicKey {
	return &ecdsa.PublicKey{Curve: elliptic.P256()}
}

func TestKeyring(t *testing.T) {
	a, b := richKey(t, "a"), richKey(t, "b")
	ring, err := NewKeyring(a)
	require.NoError(t, err)
	require.Equal(t, "a", ring.Current().ID)

	// In a rotation both decrypt, and the new one is asked for.
	require.NoError(t, ring.Add(b))
	require.Equal(t, "b", ring.Current().ID)
	for _, key := range []ContentKey{a, b} {
		_, err = ring.Decrypt(seal(t, key, []byte("{}"), nil))
		require.NoError(t, err)
	}
	require.ErrorContains(t, ring.Remove("b"), "is the current key")
	require.NoError(t, ring.Remove("a"))
	_, err = ring.Decrypt(seal(t, a, []byte("{}"), nil))
	require.ErrorIs(t, err, ErrUnknownKey)

	// The id is right and the certificate is not.
	renamed := a
	renamed.ID = "b"
	_, err = ring.Decrypt(seal(t, renamed, []byte("{}"), nil))
	require.ErrorIs(t, err, ErrUnknownKey)
	require.ErrorContains(t, err, b.Thumbprint())
	c := seal(t, b, []byte("{}"), nil)
	c.EncryptionCertificateThumbprint = strings.ToLower(c.EncryptionCertificateThumbprint)
	_, err = ring.Decrypt(c)
	require.NoError(t, err)

	small, err := rsa.GenerateKey(rand.Reader, 1024)
	require.NoError(t, err)
	for want, key := range map[string]ContentKey{
		"of 0 characters":          {Certificate: a.Certificate, Private: a.Private},
		"of 129 characters":        {ID: strings.Repeat("ü", 129), Certificate: a.Certificate, Private: a.Private},
		"not an X.509 certificate": {ID: "x", Private: a.Private},
		"is missing":               {ID: "x", Certificate: a.Certificate},
		"is not that of":           {ID: "x", Certificate: a.Certificate, Private: b.Private},
		"there already":            b,
		"not that":                 {ID: "y", Certificate: a.Certificate, Private: small},
	} {
		require.ErrorContains(t, ring.Add(key), want)
	}
	_, err = NewKeyring()
	require.Error(t, err)
}

func TestParseContentKey(t *testing.T) {
	key := richKey(t, "a")
	require.Equal(t, "a", key.ID)
	require.Len(t, key.Thumbprint(), 40)
	bare, err := ParseContentKey("a", richFile(t, "key-b.pem"))
	require.NoError(t, err)
	require.Empty(t, bare.Thumbprint())

	secret := string(richFile(t, "key-a.pem"))
	for want, text := range map[string]string{
		"no private key in PEM":  string(richFile(t, "cert-a.pem")),
		"is encrypted":           strings.ReplaceAll(secret, "PRIVATE KEY", "ENCRYPTED PRIVATE KEY"),
		"RSA PRIVATE KEY cannot": strings.ReplaceAll(secret, "PRIVATE KEY", "RSA PRIVATE KEY"),
		`"EC PRIVATE KEY": want`: strings.ReplaceAll(secret, "PRIVATE KEY", "EC PRIVATE KEY"),
	} {
		_, err := ParseContentKey("a", []byte(text))
		require.ErrorContains(t, err, want)
		require.NotContains(t, err.Error(), strings.Split(secret, "\n")[2])
	}
}

func TestCertificateText(t *testing.T) {
	text := string(richFile(t, "cert-a.pem"))
	block, _ := pem.Decode([]byte(text))
	want := base64.StdEncoding.EncodeToString(block.Bytes)
	for _, in := range []string{text, want, strings.ReplaceAll(want, "Q", "Q\n")} {
		got, err := certificateText(in)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	for wrong, in := range map[string]string{
		"neither base64 nor PEM": "{base64encodedCertificate}",
		"not an X.509":           "AAAA",
		"PRIVATE KEY":            string(richFile(t, "key-a.pem")),
	} {
		_, err := certificateText(in)
		require.ErrorContains(t, err, wrong)
	}
}

func FuzzDecrypt(f *testing.F) {
	key := richKey(f, "a")
	all, err := ParseCaptured(richFile(f, "notification.json"))
	require.NoError(f, err)
	c := all[0].EncryptedContent
	f.Add(c.Data, c.DataSignature, c.DataKey)
	f.Add(c.Data[:len(c.Data)-4], c.DataSignature, c.DataKey)
	f.Add("AAAAAAAAAAAAAAAAAAAAAA==", c.DataSignature, c.DataKey)
	f.Add("", "*", "=")
	want := string(richFile(f, "plain-0.json"))
	f.Fuzz(func(t *testing.T, data, signature, wrapped string) {
		got, err := (&EncryptedContent{Data: data, DataSignature: signature, DataKey: wrapped}).Decrypt(key.Private)
		if err == nil {
			require.Equal(t, want, string(got), "only one is signed")
		}
	})
}

// publicOnly is a key that encrypts and cannot decrypt, as the service has it.
type publicOnly struct{ public *rsa.PublicKey }

func (p publicOnly) Public() crypto.PublicKey { return p.public }

func (publicOnly) Decrypt(io.Reader, []byte, crypto.DecrypterOpts) ([]byte, error) {
	return nil, errors.New("the service has no private key")
}
