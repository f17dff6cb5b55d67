package acs

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
)

// signature is the three headers that prove possession of an access key.
type signature struct {
	date, contentHash, authorization string
}

// sign computes the HMAC-SHA256 authentication of a request. target is the
// request target as it goes over the wire (path and query), host the value of
// the Host header, date an IMF-fixdate. The body is signed through its hash,
// so an empty one has a signature too.
//
// Source: Azure Communication Services, "Sign an HTTP request with C#".
func sign(key []byte, method, target, host, date string, body []byte) signature {
	sum := sha256.Sum256(body)
	hash := base64.StdEncoding.EncodeToString(sum[:])
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(method + "\n" + target + "\n" + date + ";" + host + ";" + hash))
	return signature{
		date:        date,
		contentHash: hash,
		authorization: "HMAC-SHA256 SignedHeaders=x-ms-date;host;x-ms-content-sha256&Signature=" +
			base64.StdEncoding.EncodeToString(mac.Sum(nil)),
	}
}

func (s signature) set(h http.Header) {
	h.Set("x-ms-date", s.date)
	h.Set("x-ms-content-sha256", s.contentHash)
	h.Set("Authorization", s.authorization)
}
