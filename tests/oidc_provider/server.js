// Serves npm's oidc-provider at https://localhost:PORT with its development pages: any login, any password.
// Usage: node server.js CERTIFICATE KEY. Prints its issuer when it is ready. Clients register themselves.

import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';

import { Provider } from 'oidc-provider';

const [certificate, key] = process.argv.slice(2);

const configuration = {
  scopes: ['openid', 'offline_access', 'profile', 'email', 'tasks.read'],
  claims: { profile: ['name'], email: ['email', 'email_verified'] },
  features: {
    introspection: { enabled: true },
    registration: { enabled: true },
  },
  findAccount: async (_ctx, login) => ({
    accountId: login,
    claims: async () => ({ sub: login, name: `${login} of the provider`, email: `${login}@example.com` }),
  }),
  // Without this, only users who consent anew at each sign-in (prompt=consent) get refresh tokens.
  issueRefreshToken: async (_ctx, client) => client.grantTypeAllowed('refresh_token'),
  ttl: {
    AccessToken: (_ctx, _token, client) => (client.clientName === 'short-lived tokens' ? 60 : 3600),
    Grant: 86400,
    IdToken: 3600,
    Interaction: 3600,
    RefreshToken: 86400,
    Session: 86400,
  },
};

const server = createServer({ cert: readFileSync(certificate), key: readFileSync(key) });
server.listen(0, '127.0.0.1', () => {
  const issuer = `https://localhost:${server.address().port}`;
  server.on('request', new Provider(issuer, configuration).callback());
  console.log(`issuer=${issuer}`);
});
