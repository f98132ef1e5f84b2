// A form as browsers send it: its hidden token is read from the page.
import http from 'k6/http';
import { parseHTML } from 'k6/html';
import { check, sleep } from 'k6';

const BASE_URL = __ENV.BASE_URL || 'http://127.0.0.1:8080';

export default function () {
  const page = http.get(`${BASE_URL}/form`);
  const doc = parseHTML(page.body);
  const token = doc.find('input[name=csrf]').attr('value');
  check(page, {
    'a form': () => doc.find('form').size() === 1,
    'with a token': () => token.length > 0,
    'with a title': () => doc.find('h1').text() === 'Sign in',
  });

  const sent = page.submitForm({
    formSelector: 'form',
    fields: { user: `user${__VU}`, password: 'secret' },
  });
  check(sent, {
    'the form was taken': (r) => r.status === 200,
    'and greets': (r) => r.html('p.greeting').text().includes(`user${__VU}`),
  });

  const next = sent.clickLink({ selector: 'a.next' });
  check(next, { 'the link leads on': (r) => r.url.endsWith('/items') });
  sleep(1);
}
