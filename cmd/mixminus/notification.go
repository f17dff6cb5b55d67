package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/mixminus/mixminus/session/graph"
	"github.com/spf13/cobra"
)

func notificationCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "notification",
		Short: "Read change notifications of Microsoft Graph",
		Long: `Works on change notifications that were captured: the body that Microsoft Graph
posted, one of the notifications in its "value", or one "encryptedContent".`,
	}
	cmd.AddCommand(notificationDecryptCommand())
	return cmd
}

func notificationDecryptCommand() *cobra.Command {
	var keyFile string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "decrypt --key PEM [FILE]",
		Short: "Check and decrypt rich notifications; exit status 1 if one of them is refused",
		Long: `Checks the signature of each notification and prints the resource in it. The key is
the RSA private key of the certificate that the subscription was given, in PEM
(PKCS #1 or PKCS #8, without passphrase). If the certificate stands in the same file,
its thumbprint is compared too. validationTokens are not checked: they expire.

FILE is read from standard input if it is - or missing.`,
		Example: `  mixminus notification decrypt --key notifications.pem captured.json
  mixminus notification decrypt --key notifications.pem --json captured.json | jq '.items[].resource'
  jq '.value[0].encryptedContent' captured.json | mixminus notification decrypt --key notifications.pem -`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			text, err := os.ReadFile(keyFile)
			if err != nil {
				return err
			}
			key, err := graph.ParseContentKey("", text)
			if err != nil {
				return fmt.Errorf("--key %s: %w", keyFile, err)
			}
			captured, err := readCaptured(args, cmd.InOrStdin())
			if err != nil {
				return err
			}
			items, err := decryptAll(&key, captured)
			if err != nil {
				return err
			}
			return printDecrypted(items, asJSON, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	cmd.Flags().StringVar(&keyFile, "key", "", "file of the private key, in PEM")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON document with the result of each notification")
	_ = cmd.MarkFlagRequired("key") // the flag exists
	return cmd
}

// maxCaptured bounds what is read of notifications, in bytes.
const maxCaptured = 16 << 20

func readCaptured(args []string, stdin io.Reader) ([]graph.ChangeNotification, error) {
	in := stdin
	if len(args) > 0 && args[0] != "-" {
		f, err := os.Open(args[0])
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	text, err := io.ReadAll(io.LimitReader(in, maxCaptured+1))
	switch {
	case err != nil:
		return nil, err
	case len(text) > maxCaptured:
		return nil, fmt.Errorf("captured notifications are longer than %d bytes", maxCaptured)
	}
	return graph.ParseCaptured(text)
}

// decrypted is the result of one notification.
type decrypted struct {
	Index          int             `json:"index"`
	OK             bool            `json:"ok"`
	SubscriptionID string          `json:"subscription_id,omitempty"`
	CertificateID  string          `json:"certificate_id,omitempty"`
	Resource       json.RawMessage `json:"resource,omitempty"`
	Error          string          `json:"error,omitempty"`
}

// decryptAll decrypts the notifications that have content.
func decryptAll(key *graph.ContentKey, captured []graph.ChangeNotification) ([]decrypted, error) {
	items := []decrypted{}
	for i := range captured {
		n := &captured[i]
		if n.EncryptedContent == nil {
			continue
		}
		one := decrypted{Index: i, SubscriptionID: n.SubscriptionID, CertificateID: n.EncryptedContent.EncryptionCertificateID}
		plain, err := key.Decrypt(n.EncryptedContent)
		switch {
		case err != nil:
			one.Error = advice(err, n.EncryptedContent)
		case !json.Valid(plain):
			one.Error = "the signature is right, but what was signed is not JSON"
		default:
			one.OK, one.Resource = true, plain
		}
		items = append(items, one)
	}
	if len(items) == 0 {
		return nil, fmt.Errorf("none of %d notifications has an encryptedContent: subscribe with includeResourceData", len(captured))
	}
	return items, nil
}

// advice says what to do about content that was refused.
func advice(err error, c *graph.EncryptedContent) string {
	id := c.EncryptionCertificateID
	switch {
	case errors.Is(err, graph.ErrUnknownKey):
		return fmt.Sprintf("%v: use the private key of the certificate %q", err, id)
	case errors.Is(err, graph.ErrContent):
		return fmt.Sprintf("the signature does not verify: %v: use the private key of the certificate %q, and capture the notification again, whole", err, id)
	}
	return fmt.Sprintf("%v: use the private key of the certificate %q, and capture the notification again, whole", err, id)
}

func printDecrypted(items []decrypted, asJSON bool, out, errs io.Writer) error {
	ok := true
	for _, one := range items {
		ok = ok && one.OK
	}
	if asJSON {
		if err := json.NewEncoder(out).Encode(map[string]any{"ok": ok, "items": items}); err != nil {
			return err
		}
	} else {
		for _, one := range items {
			if err := printOne(&one, out, errs); err != nil {
				return err
			}
		}
	}
	if !ok {
		return errFailed
	}
	return nil
}

func printOne(one *decrypted, out, errs io.Writer) error {
	if !one.OK {
		_, err := fmt.Fprintf(errs, "mixminus: notification %d: %s\n", one.Index, one.Error)
		return err
	}
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, one.Resource, "", "  "); err != nil {
		return err
	}
	_, err := fmt.Fprintln(out, pretty.String())
	return err
}
