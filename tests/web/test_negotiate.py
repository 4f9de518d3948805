import pytest

from weft.web.negotiate import best

OFFERS = ["text/html", "application/x.v1+json", "application/x.v1+html"]


@pytest.mark.parametrize("accept, expected", [
    ("", "text/html"),
    ("*/*", "text/html"),
    ("application/x.v1+json", "application/x.v1+json"),
    ("text/html;q=0.1, application/x.v1+json", "application/x.v1+json"),
    ("application/x.v1+json;q=0.2, text/html;q=0.9", "text/html"),
    ("application/x.v1+json; q=0.5, text/html; q=0.5", "text/html"),
    ("application/*", "application/x.v1+json"),
    ("*/*;q=0.1, application/x.v1+html;q=0.2", "application/x.v1+html"),
    ("text/html;q=0, */*", "application/x.v1+json"),
    ("text/html;q=0", ""),
    ("image/png", ""),
    ("TEXT/HTML", "text/html"),
    ("text/html;level=1;q=0.3, application/x.v1+json;q=0.2", "text/html"),
    ("text/html;q=bogus, application/x.v1+html;q=0.1", "application/x.v1+html"),
    ("text/html;q=1.5", ""),
    ("rubbish", ""),
])
def test_the_best_offer(accept, expected):
    assert best(accept, OFFERS) == expected
