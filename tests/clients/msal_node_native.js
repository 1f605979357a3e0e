// A program on somebody's own machine: MSAL Node's PublicClientApplication, with PKCE and a server on a loopback port.
import { PublicClientApplication } from "@azure/msal-node";

const { AUTHORITY, CLIENT_ID, SCOPES, ENDPOINT } = process.env;
const scopes = SCOPES.split(" ");
const client = new PublicClientApplication({
  auth: { clientId: CLIENT_ID, authority: AUTHORITY, knownAuthorities: [new URL(AUTHORITY).host] },
});

async function callApi(accessToken) {
  const response = await fetch(ENDPOINT, { headers: { Authorization: `Bearer ${accessToken}` } });
  return response.json();
}

const { account } = await client.acquireTokenInteractive({
  scopes,
  openBrowser: async (address) => console.log(`open=${address}`),
});
const cached = await client.acquireTokenSilent({ scopes, account });
const refreshed = await client.acquireTokenSilent({ scopes, account, forceRefresh: true });
const result = {
  user: account.name,
  owners: [await callApi(cached.accessToken), await callApi(refreshed.accessToken)].map(({ owner }) => owner),
};
console.log(`result=${JSON.stringify(result)}`);
