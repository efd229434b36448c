'use strict';
(() => {
  const live = document.getElementById('live');
  const view = document.getElementById('view');
  // Silence of so many milliseconds is no answer.
  const SILENCE = 4000;
  let source = null;
  let heard = performance.now();

  // Makes `old` what `now` is, and leaves alone what is the same.
  const become = (old, now) => {
    for (const { name, value } of now.attributes) {
      if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    }
    for (const { name } of [...old.attributes]) {
      // Whoever looks has opened it.
      if (!now.hasAttribute(name) && name !== 'open') old.removeAttribute(name);
    }
    const before = [...old.childNodes];
    const after = [...now.childNodes];
    after.forEach((node, place) => {
      const there = before[place];
      if (!there) old.append(node);
      else if (there.nodeName !== node.nodeName) there.replaceWith(node);
      else if (node.nodeType !== Node.ELEMENT_NODE) {
        if (there.data !== node.data) there.data = node.data;
      } else become(there, node);
    });
    before.slice(after.length).forEach((node) => node.remove());
  };

  const say = (text) => {
    if (live.textContent !== text) live.textContent = text;
  };

  const watch = () => {
    if (source) source.close();
    source = new EventSource('v1/events?view=page');
    source.addEventListener('page', (event) => {
      heard = performance.now();
      const page = new DOMParser().parseFromString(event.data, 'text/html');
      become(view, page.getElementById('view'));
      document.title = view.dataset.title;
      document.documentElement.classList.remove('gone');
      say('Live: each second anew.');
    });
  };

  const look = () => {
    if (document.hidden || performance.now() - heard < SILENCE) return;
    document.documentElement.classList.add('gone');
    document.title = '? metrics-collector';
    say(`✖ No answer since ${document.getElementById('at').textContent}. Trying again.`);
    // A browser does not ask again where it was refused.
    if (source.readyState === EventSource.CLOSED) watch();
  };

  // Pages that nobody sees cost nothing.
  document.addEventListener('visibilitychange', () => {
    if (document.hidden) source.close();
    else {
      heard = performance.now();
      watch();
    }
  });

  say('Live: waiting for the first event.');
  setInterval(look, 1000);
  watch();
})();
