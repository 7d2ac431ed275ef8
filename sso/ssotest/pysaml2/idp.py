"""A SAML identity provider that was not written by us, for tests: pysaml2.

Its login page signs anybody in under the name they type. A service provider is
made known by POST /trust, whose body is its metadata; options stand in the query.
"""
import base64
import html
import json
import os
import secrets
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

from saml2 import BINDING_HTTP_POST, BINDING_HTTP_REDIRECT
from saml2.authn_context import PASSWORD
from saml2.config import IdPConfig
from saml2.metadata import entity_descriptor
from saml2.saml import NAMEID_FORMAT_PERSISTENT, NameID
from saml2.server import Server
from saml2.sigver import verify_redirect_signature
from saml2.xmldsig import DIGEST_SHA256, SIG_RSA_SHA256

SETTINGS = json.loads(os.environ["PEER"])
BASE = "http://127.0.0.1:%d" % SETTINGS["port"]
CONFIG = IdPConfig().load({
    "entityid": BASE + "/metadata",
    "key_file": SETTINGS["key_file"],
    "cert_file": SETTINGS["cert_file"],
    "xmlsec_binary": "/usr/bin/xmlsec1",
    "metadata": {"inline": []},
    "service": {"idp": {
        "endpoints": {
            "single_sign_on_service": [(BASE + "/sso", BINDING_HTTP_REDIRECT), (BASE + "/sso", BINDING_HTTP_POST)],
            "single_logout_service": [(BASE + "/slo", BINDING_HTTP_REDIRECT), (BASE + "/slo", BINDING_HTTP_POST)],
        },
        "signing_algorithm": SIG_RSA_SHA256,
        "digest_algorithm": DIGEST_SHA256,
        # Names as eduPerson has them, URIs and all.
        "policy": {"default": {"name_form": "urn:oasis:names:tc:SAML:2.0:attrname-format:uri"}},
    }},
})
IDP = Server(config=CONFIG)
LOCK = threading.Lock()
OPTIONS = {}  # by entity ID of the service provider
SIGNED_IN = {}  # by cookie: name and what each service provider was told
LOGOUTS = {}  # by RelayState: cookie


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer(dict(parse_qsl(urlsplit(self.path).query)), BINDING_HTTP_REDIRECT)

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        if urlsplit(self.path).path == "/trust":
            return self.trust(body)
        self.answer(dict(parse_qsl(body.decode())), BINDING_HTTP_POST)

    def answer(self, fields, binding):
        path = urlsplit(self.path).path
        try:
            with LOCK:
                getattr(self, "on_" + path.strip("/"))(fields, binding)
        except Exception as err:  # the test reads why
            self.log_message("%s: %r", path, err)
            self.reply(500, "refused: %r" % err)

    def trust(self, body):
        with LOCK:
            known = set(IDP.metadata.keys())
            IDP.metadata.load("inline", body.decode())
            for entity in set(IDP.metadata.keys()) - known:
                OPTIONS[entity] = dict(parse_qsl(urlsplit(self.path).query))
        self.reply(200, "")

    def on_metadata(self, fields, binding):
        self.reply(200, str(entity_descriptor(CONFIG)), "application/samlmetadata+xml")

    def on_sso(self, fields, binding):
        who = self.cookie()
        if who not in SIGNED_IN:
            hidden = "".join('<input type="hidden" name="%s" value="%s">' % (k, html.escape(v)) for k, v in fields.items())
            return self.reply(200, '<form method="post" action="/login"><input name="username">%s'
                              '<input type="hidden" name="binding" value="%s"></form>' % (hidden, binding))
        request = IDP.parse_authn_request(fields["SAMLRequest"], binding).message
        sp = request.issuer.text
        if binding == BINDING_HTTP_REDIRECT:
            self.check(fields, sp)
        elif not IDP.sec.correctly_signed_authn_request(str(request), must=True):
            raise ValueError("the request is not signed")
        person = SETTINGS["people"][SIGNED_IN[who]["name"]]
        name_id = NameID(format=NAMEID_FORMAT_PERSISTENT, sp_name_qualifier=sp, text=person["id"])
        args = IDP.response_args(request, [BINDING_HTTP_POST])
        options = OPTIONS[sp]
        response = IDP.create_authn_response(
            person["attributes"], userid=person["id"], name_id=name_id, authn={"class_ref": PASSWORD, "authn_auth": BASE},
            sign_response=options.get("sign_response") == "1", sign_assertion=options.get("sign_assertion") == "1",
            encrypt_assertion=options.get("encrypt") == "1", sign_alg=SIG_RSA_SHA256, digest_alg=DIGEST_SHA256, **args)
        SIGNED_IN[who]["told"][sp] = name_id
        self.send_by(BINDING_HTTP_POST, response, args["destination"], fields.get("RelayState", ""), True)

    def on_login(self, fields, binding):
        name = fields.pop("username")
        if name not in SETTINGS["people"]:
            return self.reply(403, "no such person")
        self.fresh = secrets.token_hex(16)
        SIGNED_IN[self.fresh] = {"name": name, "told": {}}
        self.on_sso(fields, fields.pop("binding"))

    def on_slo(self, fields, binding):
        if "SAMLRequest" in fields:
            request = IDP.parse_logout_request(fields["SAMLRequest"], binding).message
            if binding == BINDING_HTTP_REDIRECT:
                self.check(fields, request.issuer.text)
            told = SIGNED_IN.pop(self.cookie(), {"told": {}})["told"]
            known = request.issuer.text in told and told[request.issuer.text].text == request.name_id.text
            response = IDP.create_logout_response(request, [binding], sign=binding == BINDING_HTTP_POST,
                                                  sign_alg=SIG_RSA_SHA256, digest_alg=DIGEST_SHA256)
            if not known:
                raise ValueError("nobody is signed in as %s" % request.name_id.text)
            return self.send_by(binding, response, response.destination, fields.get("RelayState", ""), True)
        # The provider's own word: one service provider is asked to end its session.
        if "SAMLResponse" in fields:
            response = IDP.parse_logout_request_response(fields["SAMLResponse"], binding)
            if binding == BINDING_HTTP_REDIRECT:
                self.check(fields, response.response.issuer.text)
            status = response.response.status.status_code.value
            SIGNED_IN.pop(LOGOUTS.pop(fields.get("RelayState", ""), ""), None)
            return self.reply(200, "logged out: " + status)
        who = self.cookie()
        for sp, name_id in SIGNED_IN[who]["told"].items():
            binding, destination = IDP.pick_binding("single_logout_service", [fields.get("binding", BINDING_HTTP_REDIRECT)], "spsso", entity_id=sp)
            _, request = IDP.create_logout_request(destination, sp, name_id=name_id, sign=binding == BINDING_HTTP_POST,
                                                   sign_alg=SIG_RSA_SHA256, digest_alg=DIGEST_SHA256)
            state = secrets.token_hex(8)
            LOGOUTS[state] = who
            return self.send_by(binding, request, destination, state, False)
        self.reply(200, "nobody to tell")

    def check(self, fields, sp):
        """The signature of the redirect binding stands beside the message."""
        certs = IDP.metadata.certs(sp, "any", "signing")
        if not any(verify_redirect_signature(dict(fields), IDP.sec.sec_backend, cert[1] if isinstance(cert, tuple) else cert) for cert in certs):
            raise ValueError("the query's signature is not %s's" % sp)

    def send_by(self, binding, message, destination, relay, response):
        info = IDP.apply_binding(binding, str(message), destination, relay, response=response,
                                 sign=binding == BINDING_HTTP_REDIRECT, sigalg=SIG_RSA_SHA256)
        if binding == BINDING_HTTP_REDIRECT:
            return self.reply(303, "", location=dict(info["headers"])["Location"])
        fields = {"SAMLResponse" if response else "SAMLRequest": base64.b64encode(str(message).encode()).decode(), "RelayState": relay}
        inputs = "".join('<input type="hidden" name="%s" value="%s">' % (k, html.escape(v)) for k, v in fields.items() if v)
        self.reply(200, '<form method="post" action="%s">%s</form>' % (html.escape(destination), inputs))

    def log_request(self, code="-", size="-"):
        pass  # errors are said, see answer

    fresh = None

    def cookie(self):
        for part in self.headers.get("Cookie", "").split(";"):
            name, _, value = part.strip().partition("=")
            if name == "pysaml2" and self.fresh is None:
                return value
        return self.fresh

    def reply(self, status, text, kind="text/html", location=None):
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind + "; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        if location:
            self.send_header("Location", location)
        if self.fresh:
            self.send_header("Set-Cookie", "pysaml2=%s; Path=/; HttpOnly" % self.fresh)
        self.end_headers()
        self.wfile.write(body)


server = ThreadingHTTPServer(("127.0.0.1", SETTINGS["port"]), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
print("listening", flush=True)
sys.stdin.read()  # the test's end of this pipe closes when the test ends, however it ends
