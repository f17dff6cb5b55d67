package main

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
)

// authority is where tokens for the endpoint are asked for. A known one, of
// Microsoft's, is discovered; an emulator signs its own.
func authority(endpoint string) (at cloud.Configuration, known bool, err error) {
	u, err := url.Parse(endpoint)
	if err != nil {
		return at, false, fmt.Errorf("endpoint %q is not a URL", endpoint)
	}
	host := strings.ToLower(u.Hostname())
	for suffix, at := range map[string]cloud.Configuration{
		".microsoft.com":    cloud.AzurePublic,
		".azure.com":        cloud.AzurePublic,
		".microsoft.us":     cloud.AzureGovernment,
		".azure.us":         cloud.AzureGovernment,
		".chinacloudapi.cn": cloud.AzureChina,
	} {
		if strings.HasSuffix(host, suffix) {
			return at, true, nil
		}
	}
	return cloud.Configuration{ActiveDirectoryAuthorityHost: endpoint}, false, nil
}

// secretCredential signs in as an application by its client secret.
func secretCredential(endpoint, tenant, app, clientSecret string) (azcore.TokenCredential, error) {
	at, known, err := authority(endpoint)
	if err != nil {
		return nil, err
	}
	o := &azidentity.ClientSecretCredentialOptions{DisableInstanceDiscovery: !known}
	o.Cloud = at
	return azidentity.NewClientSecretCredential(tenant, app, clientSecret, o)
}

// defaultCredential signs in as whatever this machine is: the application of
// the AZURE_ variables, a workload, a managed identity, or who uses the CLI.
func defaultCredential(endpoint string) (azcore.TokenCredential, error) {
	at, known, err := authority(endpoint)
	if err != nil {
		return nil, err
	}
	o := &azidentity.DefaultAzureCredentialOptions{DisableInstanceDiscovery: !known}
	o.Cloud = at
	return azidentity.NewDefaultAzureCredential(o)
}
