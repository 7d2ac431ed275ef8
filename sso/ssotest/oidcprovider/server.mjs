// An OpenID provider that was not written by us, for tests. Its own development
// pages sign anybody in under the name they type.
import { Provider } from 'oidc-provider';

const { issuer, port, clients, people } = JSON.parse(process.env.PEER);

const provider = new Provider(issuer, {
  clients,
  claims: {
    openid: ['sub'],
    email: ['email', 'email_verified'],
    profile: ['name', 'given_name', 'family_name'],
  },
  features: { devInteractions: { enabled: true }, backchannelLogout: { enabled: true }, jwtUserinfo: { enabled: true } },
  // Its guard against private networks would keep it from the server on loopback.
  fetch: (url, { dispatcher, ...options }) => fetch(url, options),
  pkce: { required: () => true },
  findAccount: (ctx, id) => ({ accountId: id, claims: () => ({ sub: id, ...people[id] }) }),
});

provider.listen(port, '127.0.0.1', () => console.log('listening'));
// The test's end of this pipe closes when the test ends, however it ends.
process.stdin.on('end', () => process.exit(0)).resume();
