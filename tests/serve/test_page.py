"""The page of `apparel serve`, in a real browser."""

import base64
import io
import os
from pathlib import Path

import numpy as np
import pytest
from benchmarks.serving.server import png, serving
from PIL import Image

from tests.made_model import MadeModel

pytestmark = pytest.mark.browser
playwright = pytest.importorskip("playwright.sync_api")
expect = playwright.expect
expect.set_options(timeout=30_000)

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking",
]  # fmt: skip
CLASS_NAMES = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker",
               "Bag", "Ankle boot")  # fmt: skip
HOSTILE = "<img src=x onerror=alert(1)>"
# What Chromium itself writes where an answer is an error.
FAILED = "Failed to load resource: "


def picture(value):
    """An item on black: a square of one brightness."""
    pixels = np.zeros((28, 28, 1), np.uint8)
    pixels[6:22, 8:20] = value
    return pixels


@pytest.fixture(scope="module")
def base_url(tmp_path_factory):
    """A server with a model that says of itself all that the page shows."""
    folder = tmp_path_factory.mktemp("served")
    made = MadeModel(
        folder / "clothes.onnx",
        (28, 28, 1),
        class_names=CLASS_NAMES,
        novelty_threshold=1000.0,
        threshold=0.0,
        photo_steps="fashion-mnist",
        dataset={"source": "fashion-mnist"},
        accuracy={"value": 0.9381, "low": 0.9333, "high": 0.9427, "n": 10_000},
        examples=[
            {"label": name, "png": base64.b64encode(png(picture(60 + 20 * k))).decode()}
            for k, name in enumerate(CLASS_NAMES)
        ],
    )
    with serving(made.path, folder) as server:
        yield f"http://127.0.0.1:{server.port}"


@pytest.fixture(scope="module")
def browser():
    if not CHROMIUM.exists() and not os.environ.get("CI"):
        pytest.skip(f"{CHROMIUM} is missing: apt-get install chromium")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def context(request, browser):
    phone = {"viewport": {"width": 360, "height": 740}, "is_mobile": True}
    wide = {"viewport": {"width": 1200, "height": 900}, "color_scheme": "dark"}
    is_phone = getattr(request, "param", "wide") == "phone"
    with browser.new_context(
        has_touch=is_phone, reduced_motion="reduce", **(phone if is_phone else wide)
    ) as context:
        context.set_default_timeout(30_000)
        yield context


on_both = pytest.mark.parametrize("context", ["wide", "phone"], indirect=True)


@pytest.fixture
def expected_failures():
    """Parts of what the browser's console may complain of in a test."""
    return []


@pytest.fixture
def blank(context, base_url, expected_failures):
    """An empty page; it must ask nobody else, and break no rule of the server's headers."""
    page = context.new_page()
    complaints = []
    asked = []
    page.on("console", lambda message: complaints.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: complaints.append(f"error: {error}"))
    page.on("request", lambda request: asked.append(request.url))
    page.on("dialog", lambda dialog: complaints.append(f"error: dialog {dialog.message}"))
    yield page
    found = [line for line in complaints if line.startswith(("error", "warning"))]
    assert [line for line in found if not any(e in line for e in expected_failures)] == []
    assert [url for url in asked if not url.startswith((f"{base_url}/", "data:", "blob:"))] == []


@pytest.fixture
def page(blank, base_url):
    """The page, ready."""
    return opened(blank, base_url)


def opened(page, base_url, **changes):
    """Open the page, perhaps with another description of the model."""
    if changes:
        model = page.request.get(f"{base_url}/model").json() | changes
        page.route("**/model", lambda route: route.fulfill(json=model))
    page.goto(base_url)
    expect(page.locator("#title")).not_to_have_text("Image classifier")
    return page


def upload(page, *files):
    page.set_input_files(
        "#files", [{"name": n, "mimeType": "image/png", "buffer": b} for n, b in files]
    )


def said(page, base_url, content):
    """What the server says of an image, without the page."""
    file = {"name": "x.png", "mimeType": "image/png", "buffer": content}
    answer = page.request.post(f"{base_url}/predict?explain=true", multipart={"files": file})
    return answer.json()["predictions"][0]


def expect_answer(page, found, card=0):
    """A card shows a whole answer."""
    shown = page.locator(".card").nth(card)
    sure = f"{found['label']} {percent(found['confidence'])}"
    expect(shown.get_by_role("heading")).to_have_text(sure if found["sure"] else "Not sure")
    shares = sorted(found["probabilities"].values(), reverse=True)
    rows = shown.get_by_role("row")
    expect(rows).to_have_count(len(shares))
    texts = rows.evaluate_all(
        "rows => rows.map(row => [row.cells[0], row.cells[2]].map(c => c.textContent))"
    )
    assert dict(texts) == {name: percent(share) for name, share in found["probabilities"].items()}
    assert [share for _, share in texts] == [percent(share) for share in shares]
    widths = rows.evaluate_all(
        "rows => rows.map(row => row.querySelector('.share div').offsetWidth /"
        " row.querySelector('.share').offsetWidth)"
    )
    np.testing.assert_allclose(widths, shares, atol=0.01)
    expect(shown.get_by_alt_text("The image as the model saw it")).to_have_attribute(
        "src", found["image"]
    )


def percent(share: float):
    if 0 < share < 0.0005:
        return "< 0.1 %"
    if 0.9995 <= share < 1:
        return "> 99.9 %"
    return f"{100 * share:.1f} %"


def data_address(pixels):
    return f"data:image/png;base64,{base64.b64encode(png(pixels)).decode()}"


def canned(**changes):
    """A server's answer for one image."""
    evidence = np.zeros((28, 28))
    evidence[20:, 20:] = 0.5
    address = data_address(picture(200))
    found = {
        "name": "x.png", "label": "Coat", "confidence": 0.9,
        "probabilities": {"Shirt": 0.0996, "Coat": 0.9, "Bag": 0.0004}, "sure": True,
        "novelty": 1.0, "unlike": False, "steps": [], "image": address, "map": evidence.tolist(),
    }  # fmt: skip
    return found | changes


def answer(page, *answers):
    """Answer the page's questions in the server's place, one after the other; the last stays."""
    left = list(answers)

    def fulfil(route):
        route.fulfill(**(left.pop(0) if len(left) > 1 else left[0]))

    page.route("**/predict*", fulfil)


def predictions(*found):
    return {"json": {"predictions": found}}


def test_the_heading_says_what_the_model_is(page, base_url):
    model = page.request.get(f"{base_url}/model").json()
    header = page.get_by_role("banner")
    expect(page).to_have_title(f"{model['name']} on {model['dataset']}")
    expect(header.get_by_role("heading")).to_have_text(f"{model['name']} on {model['dataset']}")
    for name in model["class_names"]:
        expect(header).to_contain_text(name)
    accuracy = model["accuracy"]
    expect(header).to_contain_text(f"{percent(accuracy['value'])} accuracy on 10,000 test images")
    interval = f"95 % interval {percent(accuracy['low'])} to {percent(accuracy['high'])}"
    expect(header).to_contain_text(interval)
    expect(header).not_to_contain_text("for any image")
    expect(page.get_by_role("link", name="API")).to_have_attribute("href", "/docs")


def test_a_model_that_never_warns_is_said_to(blank, base_url):
    page = opened(blank, base_url, tells_novelty=False, accuracy=None, dataset=None, examples=[])
    expect(page).to_have_title("clothes")
    header = page.get_by_role("banner")
    expect(header).to_contain_text("names a class for any image")
    expect(header).not_to_contain_text("accuracy")
    expect(page.get_by_text("Or try an example")).to_be_hidden()


@on_both
def test_every_readable_file_is_answered_beside_broken_ones(page, base_url):
    contents = [png(picture(value)) for value in range(100, 200, 10)]
    contents[1] = b"nothing"
    files = [
        {"name": f"{k}.png", "mimeType": "image/png", "buffer": content}
        for k, content in enumerate(contents)
    ]
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Choose images").click()
    assert chooser.value.is_multiple()
    photo = page.get_by_role("button", name="Take a photo")
    assert photo.is_visible() == (page.viewport_size["width"] == 360)
    chooser.value.set_files(files)
    expect(page.get_by_role("status")).to_have_text("9 images answered, 1 not.")
    for k in (0, *range(2, 10)):
        expect_answer(page, said(page, base_url, contents[k]), card=k)
        expect(page.locator(".card").nth(k).get_by_text(f"{k}.png")).to_be_visible()
    broken = page.locator(".card").nth(1)
    expect(broken).to_contain_text(said(page, base_url, b"nothing")["error"].replace("x.png", ""))
    expect(page.get_by_role("alert").first).to_contain_text("1.png")
    page.get_by_role("button", name="Clear results").click()
    expect(page.locator(".card")).to_have_count(0)
    expect(page.get_by_role("status")).to_be_empty()
    expect(page.get_by_role("button", name="Choose images")).to_be_focused()


@pytest.mark.parametrize("kind", ["paste", "drop"])
def test_a_pasted_or_dropped_image_is_answered(page, base_url, kind):
    transfer = """([kind, content]) => {
      const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
      const data = new DataTransfer();
      if (content) data.items.add(new File([bytes], "image.png", { type: "image/png" }));
      const [Kind, name] = kind === "paste" ? [ClipboardEvent, "clipboardData"]
        : [DragEvent, "dataTransfer"];
      document.body.dispatchEvent(new Kind(kind, { [name]: data, bubbles: true }));
    }"""
    page.evaluate(transfer, [kind, ""])
    expect(page.get_by_role("alert").first).to_contain_text("no image")
    content = png(picture(130))
    page.evaluate(transfer, [kind, base64.b64encode(content).decode()])
    expect_answer(page, said(page, base_url, content))


def pixels_sent(page):
    """The image that a card shows as the person's: what was sent."""
    page.wait_for_function("document.querySelector('.yours')?.complete")
    address = page.evaluate(
        """() => {
          const image = document.querySelector(".yours");
          const { naturalWidth: width, naturalHeight: height } = image;
          const canvas = Object.assign(document.createElement("canvas"), { width, height });
          canvas.getContext("2d").drawImage(image, 0, 0);
          return canvas.toDataURL();
        }"""
    )
    content = base64.b64decode(address.partition(",")[2])
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))


def draw(page):
    page.get_by_text("Or draw").click()
    paper = page.locator("#paper")
    paper.scroll_into_view_if_needed()
    box = paper.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 4, box["y"] + box["height"] / 4)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 4, box["y"] + box["height"] / 2, steps=3)
    page.mouse.up()
    page.get_by_role("button", name="Classify drawing").click()
    expect(page.locator(".card").get_by_role("heading")).to_be_visible()


@on_both
def test_a_drawing_is_sent_dark_on_light_where_the_server_takes_photos(page):
    draw(page)
    sent = pixels_sent(page)
    assert sent.shape == (336, 336, 3)
    assert (sent[84:168, 84] == 0).all()  # where the pen went
    assert (sent[:, 168:] == 255).all()
    page.get_by_role("button", name="Clear drawing").click()
    page.get_by_role("button", name="Classify drawing").click()
    expect(page.get_by_role("alert").first).to_have_text("Draw something first.")
    expect(page.locator(".card")).to_have_count(1)


@pytest.mark.parametrize(("background", "ink"), [(0, 255), (255, 0)])
def test_a_drawing_is_sent_as_the_training_images_look(blank, base_url, background, ink):
    address = data_address(np.full((24, 48), background, np.uint8))
    page = opened(
        blank, base_url, takes_photos=False, img_shape=[24, 48, 1],
        examples=[{"label": "a", "image": address}],
    )  # fmt: skip
    draw(page)
    sent = pixels_sent(page)
    assert sent.shape == (168, 336, 3)
    assert (sent[42:84, 84] == ink).all()
    assert (sent[:, 168:] == background).all()


def test_a_large_photo_is_turned_upright_and_shrunk(page):
    pixels = np.zeros((1500, 3000, 3), np.uint8)
    pixels[:, :1500] = 255
    file = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6  # lies on its left side: the left of the pixels is the top
    Image.fromarray(pixels).save(file, "JPEG", exif=exif)
    photo = {"name": "photo.jpg", "mimeType": "image/jpeg", "buffer": file.getvalue()}
    page.set_input_files("#files", photo)
    expect(page.locator(".yours")).to_be_visible()
    sent = pixels_sent(page)
    assert sent.shape == (1024, 512, 3)
    assert sent[:500].min() > 250
    assert sent[524:].max() < 5


def test_doubts_are_told(page):
    found = canned(sure=False, unlike=True, steps=["negated", "shrank to 28 pixels"])
    answer(page, predictions(found))
    upload(page, ("x.png", png(picture(200))))
    card = page.locator(".card")
    expect(card.get_by_role("heading")).to_have_text("Not sure")
    expect(card).to_contain_text("Perhaps Coat: the model is 90.0 % sure of it")
    expect(card).to_contain_text("Unlike what the model was trained on: do not rely on the answer.")
    expect(card).to_contain_text("the server swapped light and dark and shrank to 28 pixels.")
    expect(card.get_by_role("row").last).to_contain_text("< 0.1 %")
    expect(page.get_by_role("status")).to_have_text("Not sure: perhaps Coat, 90.0 %")


def test_the_map_is_told_in_words_and_many_classes_are_folded(page):
    shares = {f"class {k}": k / 4950 for k in range(100)}
    answer(page, predictions(canned(probabilities=shares)))
    upload(page, ("x.png", png(picture(200))))
    words = "What mattered lies mostly at the lower right of the image."
    overlay = page.get_by_role("img", name=f"Heat map. {words}")
    expect(page.locator(".said")).to_contain_text(words)
    image = page.get_by_alt_text("The image as the model saw it")
    assert overlay.bounding_box() == image.bounding_box()
    opacity = overlay.evaluate(
        "canvas => [...canvas.getContext('2d').getImageData(19, 24, 2, 1).data]"
    )
    assert opacity[3::4] == [0, round(0.5 * 0.85 * 255)]
    page.get_by_label("Show what mattered").uncheck()
    expect(overlay).to_be_hidden()
    expect(page.get_by_role("row")).to_have_count(10)
    page.get_by_text("90 more classes").first.click()
    expect(page.get_by_role("row")).to_have_count(100)


def test_a_refusal_is_told_and_earlier_answers_stay(page, base_url, expected_failures):
    expected_failures.append(f"{FAILED}the server responded with a status of 413")
    first = png(picture(150))
    upload(page, ("first.png", first))
    expect_answer(page, said(page, base_url, first))
    answer(page, {"status": 413, "json": {"error": "That is refused."}})
    upload(page, ("second.png", first))
    expect(page.get_by_role("alert").first).to_have_text("That is refused.")
    expect(page.locator(".card").first).to_contain_text("second.png")
    expect(page.locator(".card").first).to_contain_text("That is refused.")
    expect_answer(page, said(page, base_url, first), card=1)
    expect(page.get_by_role("button", name="Try again")).to_be_hidden()


def test_no_request_is_larger_than_the_server_takes(blank, base_url):
    page = opened(blank, base_url, limits={"body_bytes": 3000, "images": 64})
    noise = np.random.default_rng(0).integers(0, 256, (64, 64), np.uint8)
    asked = []
    page.on("request", lambda request: asked.append(request.method))
    small = png(picture(150))
    upload(page, ("large.png", png(noise)), ("small.png", small), ("another.png", small))
    expect(page.locator(".card").first).to_contain_text("Make it smaller.")
    for card in (1, 2):
        expect_answer(page, said(page, base_url, small), card=card)
    assert asked.count("POST") == 2


def test_a_busy_server_or_a_lost_network_loses_nothing(page, expected_failures):
    expected_failures += [f"{FAILED}the server responded with a status of 503", f"{FAILED}net::"]
    alert, again = page.get_by_role("alert").first, page.get_by_role("button", name="Try again")
    answer(page, {"status": 503, "headers": {"Retry-After": "2"}, "json": {"error": "busy"}})
    upload(page, ("a.png", png(picture(120))))
    expect(alert).to_have_text("The server is busy. Try again in 2 seconds.")
    expect(page.locator(".card")).to_have_text("a.png: waiting …")
    page.unroute_all()
    page.route("**/predict*", lambda route: route.abort())
    upload(page, ("b.png", png(picture(120))))
    expect(alert).to_contain_text("The server does not answer.")
    page.unroute_all()
    again.click()
    expect(page.get_by_role("status")).to_have_text("2 images answered.")
    expect(alert).to_be_empty()
    expect(again).to_be_hidden()


def test_a_token_is_asked_for_and_kept_for_the_session(blank, base_url, expected_failures):
    expected_failures.append(f"{FAILED}the server responded with a status of 401")

    def guard(route):
        if route.request.headers.get("authorization") == "Bearer s3cret":
            route.continue_()
        else:
            route.fulfill(status=401, json={"error": "A token is needed."})

    for path in ("**/model", "**/predict*"):
        blank.route(path, guard)
    blank.goto(base_url)
    dialog = blank.get_by_role("dialog")
    box = dialog.get_by_label("This server asks for its token")
    box.fill("wrong")
    box.press("Enter")
    expect(dialog).to_contain_text("The server did not take that token.")
    box.press("Escape")
    expect(blank.get_by_role("alert").first).to_contain_text("only with its token")
    blank.get_by_role("button", name="Try again").click()
    box.fill(" s3cret ")
    box.press("Enter")
    expect(dialog).to_be_hidden()
    for _ in range(2):
        upload(blank, ("a.png", png(picture(120))))
        expect(blank.locator(".card").get_by_role("heading")).to_be_visible()
        blank.reload()
    assert blank.evaluate("[localStorage.length, document.cookie]") == [0, ""]


def test_hostile_names_stay_text(blank, base_url):
    found = canned(label=HOSTILE, probabilities={HOSTILE: 0.9, "__proto__": 0.1}, steps=[HOSTILE])
    answer(blank, predictions(found, {"name": HOSTILE, "error": HOSTILE}))
    page = opened(
        blank, base_url, name=HOSTILE, dataset=HOSTILE, class_names=[HOSTILE, "__proto__"],
        examples=[{"label": HOSTILE, "image": data_address(picture(60))}],
    )  # fmt: skip
    upload(page, (f"{HOSTILE}.png", png(picture(120))), (f"{HOSTILE}.gif", b""))
    expect(page.locator(".card").get_by_role("heading")).to_have_text(f"{HOSTILE} 90.0 %")
    expect(page.get_by_role("row").first).to_contain_text(HOSTILE)
    expect(page.get_by_role("row").last).to_contain_text("__proto__")
    expect(page.locator(".card").last).to_contain_text(HOSTILE)
    expect(page.locator("h1")).to_have_text(f"{HOSTILE} on {HOSTILE}")
    assert page.locator("[onerror]").count() == 0


def test_the_keyboard_alone_is_enough(page, base_url):
    examples = page.request.get(f"{base_url}/model").json()["examples"]
    order = ["Choose images", *(example["label"] for example in examples), "Or draw"]
    for name in order:
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent.trim()") == name
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline == "solid"
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    content = base64.b64decode(examples[-1]["image"].partition(",")[2])
    expect_answer(page, said(page, base_url, content))
    expect(page.locator(".card")).to_contain_text(f"Example: {examples[-1]['label']}")
    for _ in range(3):
        page.keyboard.press("Tab")
    page.keyboard.press("Space")
    expect(page.locator(".layers canvas")).to_be_hidden()
