use super::*;
use crate::testing::{eval, eval_error};

const PAGE: &str = r#"const doc = parseHTML(`<!doctype html><html lang="en"><head><title>A &amp; B</title>
</head><body class="x y"><!-- note --><ul id="l"><li class="a" data-n="1" data-long-name='{"b":[2]}'>one</li>
<li class="b">two <b>bold</b></li><li class="a c">three</li><li>four</li></ul>
<form id="f" action="/go"><input name="t" value="v w"><input name="off" disabled value="1">
<input type="checkbox" name="c" checked><input type="checkbox" name="d">
<input type="radio" name="r" value="1"><input type="radio" name="r" value="2" checked>
<input type="submit" name="s" value="Go"><textarea name="ta">te xt</textarea>
<select name="one"><option value="1">x</option><option value="2" selected>y</option></select>
<select name="none"><option>first</option><option>second</option></select>
<select name="many" multiple><option selected>a</option><option selected value="B">b</option></select>
<label for="q">Q</label><input id="q"></form><a href="/next?x=1" title="n">Next</a></body></html>`);
"#;

const SEARCHES: &[(&str, &str)] = &[
    ("doc.find('title').text()", "A & B"),
    ("doc.find('li').size()", "4"),
    ("doc.find('li').length", "4"),
    ("doc.find('li').text()", "onetwo boldthreefour"),
    ("doc.find('li.b').html()", "two <b>bold</b>"),
    ("doc.find('nothing').html()", "undefined"),
    ("doc.find('nothing').text()", ""),
    ("doc.find('a').attr('href')", "/next?x=1"),
    ("doc.find('a').attr('nope')", "undefined"),
    ("doc.find('a').attr('nope', 'x')", "x"),
    ("doc.find('ul').find('b').text()", "bold"),
    ("doc.find('ul, ul li').find('b').size()", "1"),
    ("doc.find('li').first().text()", "one"),
    ("doc.find('li').last().text()", "four"),
    ("doc.find('li').eq(2).text()", "three"),
    ("doc.find('li').eq(-2).text()", "three"),
    ("doc.find('li').eq(9).size()", "0"),
    ("doc.find('li').slice(1, 3).text()", "two boldthree"),
    ("doc.find('li').slice(-1).text()", "four"),
    ("doc.find('li').filter('.a').size()", "2"),
    (
        "doc.find('li').filter((i, s) => i > 0 && s.is('.a')).text()",
        "three",
    ),
    ("doc.find('li').filter(doc.find('.c')).text()", "three"),
    ("doc.find('li').not('.a').size()", "2"),
    ("doc.find('li').not((i) => i < 3).text()", "four"),
    ("doc.find('li').has('b').attr('class')", "b"),
    ("doc.find('li').is('.c')", "true"),
    ("doc.find('li').is('p')", "false"),
    ("doc.find('li').is((i, s) => s.text() === 'four')", "true"),
    ("doc.find('ul').children().size()", "4"),
    ("doc.find('ul').children('.b').text()", "two bold"),
    ("doc.find('.b').contents().size()", "2"),
    ("doc.find('b').parent().attr('class')", "b"),
    ("doc.find('b').parent('p').size()", "0"),
    ("doc.find('b').parents().size()", "4"),
    ("doc.find('b').parents('ul').attr('id')", "l"),
    ("doc.find('b').parentsUntil('body').size()", "2"),
    ("doc.find('.b').next().text()", "three"),
    ("doc.find('.b').next('.z').size()", "0"),
    ("doc.find('.b').nextAll().size()", "2"),
    ("doc.find('.a').first().nextUntil('.c').text()", "two bold"),
    ("doc.find('.c').prev().attr('class')", "b"),
    ("doc.find('.c').prevAll().size()", "2"),
    ("doc.find('.c').prevUntil('.a').size()", "1"),
    ("doc.find('.b').siblings().size()", "3"),
    ("doc.find('.b').siblings('.c').text()", "three"),
    ("doc.find('b').closest('ul').attr('id')", "l"),
    ("doc.find('b').closest('p').size()", "0"),
    ("doc.find('li').filter('.b').end().size()", "4"),
    (
        "doc.find('li').map((i, s) => `${i}${s.text()[0]}`)",
        r#"["0o","1t","2t","3f"]"#,
    ),
    (
        "doc.find('li').toArray().map((s) => s.text().length)",
        "[3,8,5,4]",
    ),
    (
        "let t = ''; doc.find('li').each((i, e) => { t += i + e.nodeName() }); t",
        "0li1li2li3li",
    ),
    ("doc.find('.a').data('n')", "1"),
    ("typeof doc.find('.a').data('n')", "number"),
    ("doc.find('.a').data('longName').b[0]", "2"),
    (
        "Object.keys(doc.find('.a').data()).sort()",
        r#"["longName","n"]"#,
    ),
    ("doc.find('.b').data('n')", "undefined"),
    ("doc.find('input[name=t]').val()", "v w"),
    ("doc.find('textarea').val()", "te xt"),
    ("doc.find('select[name=one]').val()", "2"),
    ("doc.find('select[name=none]').val()", "first"),
    ("doc.find('select[name=many]').val()", r#"["a","B"]"#),
    ("doc.find('.zzz').val()", "undefined"),
];

#[test]
fn a_page_is_searched_and_walked() {
    for (script, wanted) in SEARCHES {
        assert_eq!(
            eval(install_html, &format!("{PAGE}{script}")),
            *wanted,
            "{script}"
        );
    }
}

#[test]
fn forms_are_serialized_as_they_would_be_sent() {
    let cases = [
        (
            "doc.find('form').serialize()",
            "t=v+w&c=on&r=2&ta=te+xt&one=2&none=first&many=a&many=B",
        ),
        (
            "doc.find('form').serializeObject()",
            r#"{"t":"v w","c":"on","r":"2","ta":"te xt","one":"2","none":"first","many":"B"}"#,
        ),
        (
            "doc.find('input').serializeArray().map((f) => f.name).join()",
            "t,c,r",
        ),
        (
            "parseHTML('<input name=\"a b\" value=\"é&\">').find('input').serialize()",
            "a+b=%C3%A9%26",
        ),
    ];
    for (script, wanted) in cases {
        assert_eq!(
            eval(install_html, &format!("{PAGE}{script}")),
            wanted,
            "{script}"
        );
    }
}

const PROPERTIES: &[(&str, &str)] = &[
    ("doc.find('a').get(0).href()", "/next?x=1"),
    ("doc.find('a').get(0).title()", "n"),
    ("doc.find('a').get(0).nodeType()", "1"),
    ("doc.find('a').get(7)", "undefined"),
    ("doc.find('li').get().length", "4"),
    ("doc.find('li').get(-1).textContent()", "four"),
    ("doc.find('ul').get(0).id()", "l"),
    ("doc.find('ul').get(0).children().length", "4"),
    ("doc.find('ul').get(0).childElementCount()", "4"),
    (
        "doc.find('ul').get(0).firstElementChild().innerHTML()",
        "one",
    ),
    ("doc.find('ul').get(0).lastChild().textContent()", "four"),
    ("doc.find('.b').get(0).firstChild().nodeValue()", "two "),
    ("doc.find('.b').get(0).firstChild().nodeName()", "#text"),
    ("doc.find('body').get(0).firstChild().nodeType()", "8"),
    ("doc.find('body').get(0).classList()", r#"["x","y"]"#),
    ("doc.find('b').get(0).parentElement().className()", "b"),
    (
        "doc.find('.b').get(0).nextElementSibling().textContent()",
        "three",
    ),
    (
        "doc.find('.b').get(0).previousElementSibling().getAttribute('data-n')",
        "1",
    ),
    ("doc.find('.b').get(0).hasAttribute('data-n')", "false"),
    (
        "Object.keys(doc.find('a').get(0).attributes()).sort()",
        r#"["href","title"]"#,
    ),
    ("doc.find('a').get(0).getAttributeNode('title').value", "n"),
    (
        "doc.find('ul').get(0).querySelector('.c').textContent()",
        "three",
    ),
    (
        "doc.find('ul').get(0).getElementsByClassName('c a').length",
        "1",
    ),
    (
        "doc.find('ul').get(0).getElementsByTagName('li').length",
        "4",
    ),
    (
        "doc.find('ul').get(0).contains(doc.find('b').get(0))",
        "true",
    ),
    (
        "doc.find('b').get(0).contains(doc.find('ul').get(0))",
        "false",
    ),
    (
        "doc.find('b').get(0).isSameNode(doc.find('li b').get(0))",
        "true",
    ),
    ("doc.find('.c').get(0).matches('li.a')", "true"),
    ("doc.find('[name=c]').get(0).checked()", "true"),
    ("doc.find('[name=off]').get(0).disabled()", "true"),
    ("doc.find('[name=t]').get(0).form().action()", "/go"),
    (
        "doc.find('[name=one]').get(0).selectedOptions()[0].value()",
        "2",
    ),
    ("doc.find('#q').get(0).labels()[0].textContent()", "Q"),
    ("doc.find('b').get(0).toString()", "<b>bold</b>"),
    ("doc.find('html').get(0).lang()", "en"),
    (
        "doc.find('b').get(0).ownerDocument().nodeName()",
        "#document",
    ),
];

#[test]
fn elements_have_their_properties() {
    for (script, wanted) in PROPERTIES {
        assert_eq!(
            eval(install_html, &format!("{PAGE}{script}")),
            *wanted,
            "{script}"
        );
    }
}

#[test]
fn broken_pages_and_selectors_are_bounded() {
    for (script, wanted) in [
        ("parseHTML('').find('p').size()", "0"),
        ("parseHTML('<p>a<p>b</div><td>').find('p').size()", "2"),
        ("parseHTML('<div>'.repeat(400)).find('div').size()", "400"),
        ("parseHTML(null).text()", "null"),
    ] {
        assert_eq!(eval(install_html, script), wanted, "{script}");
    }
    for script in [
        "parseHTML('<p>').find('p[')",
        "parseHTML('<p>').find('a'.repeat(5000))",
        "parseHTML('<p>').find('p').filter(':::')",
        "parseHTML('x'.repeat((1 << 23) + 1))",
        "parseHTML('<div>'.repeat(1000000))",
        "parseHTML('<div><table></div></table>'.repeat(100000))",
        "parseHTML('<p>' + [...Array(400).keys()].map((i) => `<b a=${i}>`).join('') + \
         '<p>x'.repeat(100000))",
        "parseHTML('<i>'.repeat(600000))",
    ] {
        assert!(!eval_error(install_html, script).is_empty(), "{script}");
    }
}
