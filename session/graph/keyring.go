package graph

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha1" // the thumbprint is one
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"sync"
	"unicode/utf8"
)

const (
	// maxKeys bounds a Keyring: a rotation needs two.
	maxKeys = 16
	// maxCertificateID is the longest encryptionCertificateId, in characters.
	maxCertificateID = 128
	// RSA keys that the service encrypts for, in bits.
	minKeyBits, maxKeyBits = 2048, 4096
)

// ErrUnknownKey: content is encrypted for a certificate that is not in the
// Keyring.
var ErrUnknownKey = errors.New("graph: no key of that encryption certificate")

// ContentKey is a certificate for which the service encrypts rich
// notifications, and its private key.
type ContentKey struct {
	// ID is the app's own name of it, encryptionCertificateId: at most 128
	// characters.
	ID string
	// Certificate in DER: RSA of 2048 to 4096 bits.
	Certificate []byte
	// Private is the certificate's key: an *rsa.PrivateKey, or one that
	// stays in a vault.
	Private crypto.Decrypter
}

// ParseContentKey reads a private key in PEM (PKCS #1 or PKCS #8, RSA, not
// encrypted) and the certificate that may stand in the same text. Certificate
// is nil if none does: such a key decrypts, but cannot be in a Keyring. The
// error never holds a part of the text.
func ParseContentKey(id string, text []byte) (ContentKey, error) {
	key := ContentKey{ID: id}
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			break
		}
		switch {
		case block.Type == "CERTIFICATE" && key.Certificate == nil:
			key.Certificate = block.Bytes
		case block.Type == "ENCRYPTED PRIVATE KEY" || block.Headers["DEK-Info"] != "":
			return key, errors.New("graph: private key is encrypted: write it out without its passphrase first")
		case strings.HasSuffix(block.Type, "PRIVATE KEY") && key.Private == nil:
			private, err := parsePrivate(block)
			if err != nil {
				return key, err
			}
			key.Private = private
		}
	}
	if key.Private == nil {
		return key, errors.New("graph: no private key in PEM: want RSA PRIVATE KEY or PRIVATE KEY")
	}
	return key, nil
}

func parsePrivate(block *pem.Block) (*rsa.PrivateKey, error) {
	switch block.Type {
	case "RSA PRIVATE KEY":
		if key, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
			return key, nil
		}
	case "PRIVATE KEY":
		key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
		if err != nil {
			break
		}
		private, ok := key.(*rsa.PrivateKey)
		if !ok {
			return nil, fmt.Errorf("graph: private key is a %T: want an RSA key", key)
		}
		return private, nil
	default:
		return nil, fmt.Errorf("graph: %q: want RSA PRIVATE KEY or PRIVATE KEY", clip(block.Type))
	}
	return nil, fmt.Errorf("graph: %s cannot be read", block.Type)
}

// Thumbprint is the certificate's SHA-1 in upper-case hexadecimal, as
// encryptionCertificateThumbprint has it; "" without a certificate.
func (k *ContentKey) Thumbprint() string {
	if len(k.Certificate) == 0 {
		return ""
	}
	return fmt.Sprintf("%X", sha1.Sum(k.Certificate))
}

// Decrypt decrypts as EncryptedContent.Decrypt does. If k has a certificate and
// the content a thumbprint, and they differ, the error is ErrUnknownKey.
func (k *ContentKey) Decrypt(c *EncryptedContent) ([]byte, error) {
	told, own := c.EncryptionCertificateThumbprint, k.Thumbprint()
	if told != "" && own != "" && !strings.EqualFold(told, own) {
		return nil, fmt.Errorf("%w: encryptionCertificateThumbprint %q, this certificate's is %s", ErrUnknownKey, clip(told), own)
	}
	return c.Decrypt(k.Private)
}

// check tells whether the service can encrypt for k and Private decrypt it.
func (k *ContentKey) check() error {
	if err := checkCertificateID(k.ID); err != nil {
		return err
	}
	public, err := certificateKey(k.Certificate)
	if err != nil {
		return err
	}
	if k.Private == nil {
		return fmt.Errorf("private key of %q is missing", clip(k.ID))
	}
	if !public.Equal(k.Private.Public()) {
		return fmt.Errorf("private key of %q is not that of its certificate", clip(k.ID))
	}
	return nil
}

func checkCertificateID(id string) error {
	if n := utf8.RuneCountInString(id); n == 0 || n > maxCertificateID {
		return fmt.Errorf("encryptionCertificateId of %d characters: want 1 to %d", n, maxCertificateID)
	}
	return nil
}

// certificateKey is the key of a certificate that the service takes.
func certificateKey(der []byte) (*rsa.PublicKey, error) {
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, errors.New("encryptionCertificate is not an X.509 certificate")
	}
	public, ok := certificate.PublicKey.(*rsa.PublicKey)
	if !ok {
		return nil, fmt.Errorf("encryptionCertificate is for a %v key: want RSA", certificate.PublicKeyAlgorithm)
	}
	if bits := public.N.BitLen(); bits < minKeyBits || bits > maxKeyBits {
		return nil, fmt.Errorf("encryptionCertificate is for a key of %d bits: want %d to %d", bits, minKeyBits, maxKeyBits)
	}
	return public, nil
}

// certificateText reads a certificate in PEM, or the base64 within it, and
// returns the latter without line breaks, which is what the service takes.
func certificateText(text string) (string, error) {
	der, err := []byte(nil), error(nil)
	if block, _ := pem.Decode([]byte(text)); block != nil {
		if block.Type != "CERTIFICATE" {
			return "", fmt.Errorf("encryptionCertificate is a %q in PEM: want a CERTIFICATE", clip(block.Type))
		}
		der = block.Bytes
	} else if der, err = base64.StdEncoding.DecodeString(text); err != nil {
		return "", errors.New("encryptionCertificate is neither base64 nor PEM")
	}
	if _, err := certificateKey(der); err != nil {
		return "", err
	}
	return base64.StdEncoding.EncodeToString(der), nil
}

// Keyring holds the keys of rich notifications: the current one, for which
// the service is asked to encrypt, and during a rotation those before it, for
// which it still may. It is safe for concurrent use.
type Keyring struct {
	// Guarded by mu.
	mu      sync.RWMutex
	keys    map[string]ContentKey // by ID
	current string
}

// NewKeyring checks the keys; the last one is the current one.
func NewKeyring(keys ...ContentKey) (*Keyring, error) {
	ring := &Keyring{keys: map[string]ContentKey{}}
	if len(keys) == 0 {
		return nil, errors.New("graph: keyring: no keys")
	}
	for _, key := range keys {
		if err := ring.Add(key); err != nil {
			return nil, err
		}
	}
	return ring, nil
}

// Add takes in a key and makes it the current one. Keeper.Rotate also tells
// the service.
func (r *Keyring) Add(key ContentKey) error {
	if err := key.check(); err != nil {
		return fmt.Errorf("graph: keyring: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.keys[key.ID]; ok {
		return fmt.Errorf("graph: keyring: encryptionCertificateId %q is there already: want a new one for a new certificate", clip(key.ID))
	}
	if len(r.keys) >= maxKeys {
		return fmt.Errorf("graph: keyring: %d keys: remove old ones first", len(r.keys))
	}
	r.keys[key.ID], r.current = key, key.ID
	return nil
}

// Remove drops a key that is not the current one. Notifications are repeated
// for 4 h: a key should live as long after no subscription has it any more
// (WatchStatus.CertificateID).
func (r *Keyring) Remove(id string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if id == r.current {
		return fmt.Errorf("graph: keyring: %q is the current key", clip(id))
	}
	delete(r.keys, id)
	return nil
}

// Current is the key for which subscriptions are to be encrypted.
func (r *Keyring) Current() ContentKey {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.keys[r.current]
}

// Decrypt finds the content's key by its EncryptionCertificateID and decrypts
// as ContentKey.Decrypt does. The error may also be ErrUnknownKey.
func (r *Keyring) Decrypt(c *EncryptedContent) ([]byte, error) {
	r.mu.RLock()
	key, ok := r.keys[c.EncryptionCertificateID]
	r.mu.RUnlock()
	if !ok {
		return nil, fmt.Errorf("%w: encryptionCertificateId %q", ErrUnknownKey, clip(c.EncryptionCertificateID))
	}
	return key.Decrypt(c)
}
