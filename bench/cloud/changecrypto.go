package cloud

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/google/uuid"
)

// Limits of certificates.
const (
	minCertificateBits  = 2048
	maxCertificateBits  = 4096
	maxCertificateIDLen = 128
)

// changeCertificate is whom the content of rich notifications is encrypted to.
// It is immutable.
type changeCertificate struct {
	id         string
	thumbprint string // SHA-1 of the DER, upper-case hex
	key        *rsa.PublicKey
}

// parseChangeCertificate reads encryptionCertificate, X.509 in DER in base64,
// without the lines of a PEM file. Whether it has expired is not looked at:
// only its key matters.
func parseChangeCertificate(text, id string) (*changeCertificate, error) {
	if len(id) == 0 || len(id) > maxCertificateIDLen {
		return nil, fmt.Errorf("encryptionCertificateId: %d characters: want 1 to %d", len(id), maxCertificateIDLen)
	}
	if strings.HasPrefix(text, "-----BEGIN") {
		return nil, fmt.Errorf("encryptionCertificate: has the lines of a PEM file: want the base64 between them")
	}
	der, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("encryptionCertificate: is not base64: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("encryptionCertificate: is not an X.509 certificate in DER: %w", err)
	}
	key, ok := cert.PublicKey.(*rsa.PublicKey)
	if !ok {
		return nil, fmt.Errorf("encryptionCertificate: its key is %v: want RSA", cert.PublicKeyAlgorithm)
	}
	if bits := key.N.BitLen(); bits < minCertificateBits || bits > maxCertificateBits {
		return nil, fmt.Errorf("encryptionCertificate: its key has %d bits: want %d to %d", bits, minCertificateBits, maxCertificateBits)
	}
	return &changeCertificate{id: id, thumbprint: fmt.Sprintf("%X", sha1.Sum(der)), key: key}, nil
}

// encrypt makes the content of one notification, with a key of its own: AES-256
// in CBC mode with PKCS#7 padding, the key's first 16 bytes being the
// initialization vector; HMAC-SHA256 of the ciphertext by the same key; the key
// by RSA-OAEP with SHA-1 ("Decrypting resource data from change
// notifications"). Faults befall it: those of the ciphertext are signed, so
// that only decrypting can find them.
func (c *changeCertificate) encrypt(plain []byte, faults []ChangeFault) (*encryptedContent, error) {
	var key [32]byte
	rand.Read(key[:])
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return nil, fmt.Errorf("cloud: notification: %w", err)
	}
	pad := aes.BlockSize - len(plain)%aes.BlockSize
	data := append(bytes.Clone(plain), bytes.Repeat([]byte{byte(pad)}, pad)...)
	if befallen(faults, BadChangePadding) {
		data[len(data)-1] = 0
	}
	cipher.NewCBCEncrypter(block, key[:aes.BlockSize]).CryptBlocks(data, data)
	if befallen(faults, TruncatedChange) {
		data = data[:len(data)-5]
	}
	mac := hmac.New(sha256.New, key[:])
	mac.Write(data)
	e := &encryptedContent{
		Data: data, DataSignature: mac.Sum(nil),
		EncryptionCertificateID: c.id, EncryptionCertificateThumbprint: c.thumbprint,
	}
	if e.DataKey, err = rsa.EncryptOAEP(sha1.New(), rand.Reader, c.key, key[:], nil); err != nil {
		return nil, fmt.Errorf("cloud: notification: key: %w", err)
	}
	if befallen(faults, BadChangeSignature) {
		e.DataSignature[7] ^= 0x10
	}
	if befallen(faults, BadChangeKeyID) {
		e.EncryptionCertificateID = uuid.NewString()
	}
	return e, nil
}
