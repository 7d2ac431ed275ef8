// Asks the browser for a passkey where a form wants one, and puts the answer into the
// form. Pages say what to do without it. There is nothing else here but copy and print.
(() => {
  "use strict";
  const bytes = text => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), c => c.charCodeAt(0));
  const text = buffer => btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
  const named = list => (list || []).map(c => ({...c, id: bytes(c.id)}));

  const options = form => {
    const o = JSON.parse(form.dataset.options);
    o.challenge = bytes(o.challenge);
    if (o.user) o.user.id = bytes(o.user.id);
    if (o.allowCredentials) o.allowCredentials = named(o.allowCredentials);
    if (o.excludeCredentials) o.excludeCredentials = named(o.excludeCredentials);
    return o;
  };

  const answer = c => {
    const r = c.response, out = {clientDataJSON: text(r.clientDataJSON)};
    if (r.attestationObject) {
      out.attestationObject = text(r.attestationObject);
      out.transports = r.getTransports ? r.getTransports() : [];
    } else {
      out.authenticatorData = text(r.authenticatorData);
      out.signature = text(r.signature);
      if (r.userHandle) out.userHandle = text(r.userHandle);
    }
    return JSON.stringify({id: c.id, rawId: text(c.rawId), type: c.type, clientExtensionResults: {}, response: out});
  };

  const say = (place, words) => {
    const note = place.querySelector("[data-say]");
    if (note) note.textContent = words || "";
  };

  let waiting; // the offer beside the address field, which a button takes the place of
  const ask = async (form, more) => {
    const asked = {publicKey: options(form), ...more};
    const c = form.dataset.passkey === "create" ? await navigator.credentials.create(asked) : await navigator.credentials.get(asked);
    form.querySelector("[data-answer]").value = answer(c);
    HTMLFormElement.prototype.submit.call(form); // a field may be called submit
  };

  for (const form of document.querySelectorAll("form[data-passkey]")) {
    form.hidden = false;
    const button = form.querySelector("button[type=submit]");
    if (!window.PublicKeyCredential) {
      button.disabled = true;
      say(form, form.dataset.missing);
      continue;
    }
    form.addEventListener("submit", async event => {
      event.preventDefault();
      if (waiting) waiting.abort();
      button.disabled = true;
      say(form, form.dataset.working);
      try {
        await ask(form);
      } catch (e) {
        button.disabled = false;
        say(form, e.name === "InvalidStateError" ? form.dataset.known : form.dataset.cancelled);
      }
    });
    if ("beside" in form.dataset && PublicKeyCredential.isConditionalMediationAvailable) {
      PublicKeyCredential.isConditionalMediationAvailable().then(async there => {
        if (!there) return;
        waiting = new AbortController();
        try {
          await ask(form, {mediation: "conditional", signal: waiting.signal});
        } catch { /* nobody chose one */ }
      });
    }
  }

  for (const button of document.querySelectorAll("[data-copy]")) {
    if (!navigator.clipboard) continue;
    button.hidden = false;
    button.addEventListener("click", async () => {
      const list = document.getElementById(button.dataset.copy);
      await navigator.clipboard.writeText([...list.children].map(c => c.textContent).join("\n"));
      say(button.parentElement, button.dataset.done);
    });
  }
  for (const button of document.querySelectorAll("[data-print]")) {
    button.hidden = false;
    button.addEventListener("click", () => window.print());
  }
})();
