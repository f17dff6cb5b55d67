package graph

import (
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
)

// EncryptedContent is the resource data of a rich notification
// (changeNotificationEncryptedContent). Data, DataSignature and DataKey are
// base64. Source: "Set up change notifications that include resource data",
// Microsoft Graph.
type EncryptedContent struct {
	Data                            string `json:"data,omitzero"`
	DataSignature                   string `json:"dataSignature,omitzero"`
	DataKey                         string `json:"dataKey,omitzero"`
	EncryptionCertificateID         string `json:"encryptionCertificateId,omitzero"`
	EncryptionCertificateThumbprint string `json:"encryptionCertificateThumbprint,omitzero"`
	Extra                           Extra  `json:"-"`
}

// ErrContent: encrypted content was refused, because the private key is not
// its certificate's, or because it was changed or cut. Which of these it was
// is not told, so that nobody learns of a key by sending content.
var ErrContent = errors.New("graph: the key does not fit, or the content was changed or cut")

// symmetricKey is the size of the key of one notification, in bytes.
const symmetricKey = 32

// Decrypt checks the content's signature by private, which is an RSA key, and
// returns the resource in it, a JSON text. The error is ErrContent, or says
// which part of the content cannot be what it should, whatever the key.
//
// The content's key comes out of RSA-OAEP with SHA-1; the signature is
// HMAC-SHA256 of the encrypted data and is compared before anything is
// decrypted with AES-256-CBC, whose initialization vector is the first 16
// bytes of the key.
func (c *EncryptedContent) Decrypt(private crypto.Decrypter) ([]byte, error) {
	public, ok := private.Public().(*rsa.PublicKey)
	if !ok {
		return nil, fmt.Errorf("graph: private key is %T's: want an RSA key", private.Public())
	}
	data, err := base64Field("data", c.Data)
	if err != nil {
		return nil, err
	}
	signature, err := base64Field("dataSignature", c.DataSignature)
	if err != nil {
		return nil, err
	}
	wrapped, err := base64Field("dataKey", c.DataKey)
	if err != nil {
		return nil, err
	}
	switch {
	case len(data) == 0 || len(data)%aes.BlockSize != 0:
		return nil, fmt.Errorf("graph: data of %d bytes: want a multiple of %d, it was cut", len(data), aes.BlockSize)
	case len(signature) != sha256.Size:
		return nil, fmt.Errorf("graph: dataSignature of %d bytes: want %d", len(signature), sha256.Size)
	case len(wrapped) != public.Size():
		return nil, fmt.Errorf("graph: dataKey of %d bytes: want %d for this key, it was cut or is another key's", len(wrapped), public.Size())
	}
	return decrypt(private, wrapped, signature, data)
}

func base64Field(name, text string) ([]byte, error) {
	if text == "" {
		return nil, fmt.Errorf("graph: %s is missing", name)
	}
	b, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("graph: %s is not base64", name)
	}
	return b, nil
}

// decrypt takes content of the right sizes. Whatever is wrong with it, what is
// done is the same up to the comparison of the signature.
func decrypt(private crypto.Decrypter, wrapped, signature, data []byte) ([]byte, error) {
	key := make([]byte, symmetricKey)
	if _, err := rand.Read(key); err != nil {
		return nil, err
	}
	unwrapped, err := private.Decrypt(rand.Reader, wrapped, &rsa.OAEPOptions{Hash: crypto.SHA1})
	if err == nil && len(unwrapped) == symmetricKey {
		key = unwrapped
	}
	mac := hmac.New(sha256.New, key)
	mac.Write(data)
	if !hmac.Equal(mac.Sum(nil), signature) {
		return nil, ErrContent
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	plain := make([]byte, len(data))
	cipher.NewCBCDecrypter(block, key[:aes.BlockSize]).CryptBlocks(plain, data)
	return unpad(plain)
}

// unpad takes the padding of PKCS #7 (RFC 5652 section 6.3) off.
func unpad(plain []byte) ([]byte, error) {
	pad := int(plain[len(plain)-1])
	good := subtle.ConstantTimeLessOrEq(1, pad) & subtle.ConstantTimeLessOrEq(pad, aes.BlockSize)
	for i := 1; i <= aes.BlockSize; i++ {
		inside := subtle.ConstantTimeLessOrEq(i, pad)
		same := subtle.ConstantTimeByteEq(plain[len(plain)-i], byte(pad))
		good &= (1 - inside) | same
	}
	if good != 1 {
		return nil, ErrContent
	}
	return plain[:len(plain)-pad], nil
}
