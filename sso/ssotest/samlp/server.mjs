// A SAML identity provider that was not written by us, for tests: Auth0's samlp.
// Its login page signs anybody in under the name they type. A service provider is
// made known by POST /trust; samlp has no reader for metadata.
import { randomBytes } from 'node:crypto';
import express from 'express';
import samlp from 'samlp';
import SessionParticipants from 'samlp/lib/sessionParticipants/index.js';

const { issuer, port, cert, key, people } = JSON.parse(process.env.PEER);
const base = `http://127.0.0.1:${port}`;
const trusted = new Map(); // by entity ID
const signedIn = new Map(); // by cookie: { name, participants }

const app = express();
app.use(express.urlencoded({ extended: false, limit: '1mb' }), express.json());
app.use((req, res, next) => {
  const cookie = /samlp=([0-9a-f]+)/.exec(req.headers.cookie ?? '');
  req.browser = cookie && signedIn.get(cookie[1]);
  next();
});

app.post('/trust', (req, res) => { trusted.set(req.body.entityID, req.body); res.end(); });

app.get('/metadata', samlp.metadata({
  issuer, cert, redirectEndpointPath: '/sso', postEndpointPath: '/sso',
  logoutEndpointPaths: { redirect: '/slo', post: '/slo' },
}));

const escape = (text = '') => text.replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);

const sso = (req, res, next) => {
  if (!req.browser) {
    const { SAMLRequest = '', RelayState = '' } = req.body;
    return res.send(`<form method="post" action="/login"><input name="username">
      <input type="hidden" name="back" value="${escape(req.originalUrl)}"><input type="hidden" name="SAMLRequest" value="${escape(SAMLRequest)}">
      <input type="hidden" name="RelayState" value="${escape(RelayState)}"></form>`);
  }
  samlp.parseRequest(req, (err, request) => {
    const sp = request && trusted.get(request.issuer);
    if (err || !sp) return next(err ?? new Error(`${request?.issuer} is not known here`));
    const sessionIndex = '_' + randomBytes(8).toString('hex');
    const person = people[req.browser.name];
    req.browser.participants.push({
      serviceProviderId: sp.entityID, nameId: person.id, nameIdFormat: 'urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified',
      sessionIndex, serviceProviderLogoutURL: sp.slo, cert: sp.signingCert, binding: sp.sloBinding,
    });
    samlp.auth({
      issuer, cert, key, sessionIndex, signingCert: sp.signingCert, destination: sp.acs, recipient: sp.acs,
      getPostURL: (audience, request, req, done) => done(null, sp.acs),
      getUserFromRequest: () => person, ...sp.options,
    })(req, res, next);
  });
};
app.get('/sso', sso);
app.post('/sso', sso);

app.post('/login', (req, res, next) => {
  if (!people[req.body.username]) return res.status(403).send('no such person');
  const handle = randomBytes(16).toString('hex');
  req.browser = { name: req.body.username, participants: [] };
  signedIn.set(handle, req.browser);
  res.cookie('samlp', handle, { httpOnly: true });
  if (!req.body.SAMLRequest) return res.redirect(303, req.body.back);
  sso(req, res, next);
});

const transactions = new Map();
const store = {
  save(req, state, done) { const handle = randomBytes(16).toString('hex'); transactions.set(handle, state); done(null, handle); },
  load(req, handle, options, done) {
    const state = transactions.get(handle);
    if (typeof options === 'function') return options(null, state);
    if (options.destroy) transactions.delete(handle);
    done(null, state);
  },
  update(req, handle, state, done) { transactions.set(handle, state); done(null); },
};
const slo = (req, res, next) => samlp.logout({
  issuer, cert, key, store, deflate: true, protocolBinding: 'urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST',
  signatureAlgorithm: 'rsa-sha256', digestAlgorithm: 'sha256',
  sessionParticipants: new SessionParticipants(req.browser ? req.browser.participants : []),
  clearIdPSession: (done) => { for (const [k, v] of signedIn) if (v === req.browser) signedIn.delete(k); done(); },
})(req, res, next);
app.get('/slo', slo);
app.post('/slo', slo);

app.use((err, req, res, next) => { console.error(err); res.status(500).send(String(err)); });
app.listen(port, '127.0.0.1', () => console.log('listening'));
// The test's end of this pipe closes when the test ends, however it ends.
process.stdin.on('end', () => process.exit(0)).resume();
