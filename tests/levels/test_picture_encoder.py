"""Encoders and readers of levels that see: what they do not care for, and what they find out by themselves."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from levels.encoders.picture import PLACE, PictureEncoder, standing_out
from levels.level import Level
from levels.pictures import moved, planes
from levels.settings import LevelSettings, LossWeights, MemorySettings, Sight, World
from levels.tokens import Glimpse

CODES = (4, 3)
SYMBOLS = Sight("symbols", (9, 7, 2), CODES)


def pictures(*lead: int, seed: int = 0) -> Tensor:
    """Random symbols (*lead, 9, 7, 2) of walls and floor, code 0 and 1, without anything that stands out."""
    generator = torch.Generator().manual_seed(seed)
    picture = torch.zeros(*lead, 9, 7, 2, dtype=torch.uint8)
    picture[..., 0] = torch.randint(0, 2, (*lead, 9, 7), generator=generator)
    return picture


def settings(**changes: object) -> LevelSettings:
    values = {"encoder": "symbols", "macro_action": "primitive", "latent_dim": 12, "hidden": 32, "head": 16}
    values |= {"channels": 16, "rollout": 3, "memory": MemorySettings(channels=4, dilations=(1,))}
    return LevelSettings(**(values | changes))  # type: ignore[arg-type]


def test_symbols_become_one_hot_planes_and_colours_lie_about_zero() -> None:
    picture = pictures(3)
    seen = planes(picture, SYMBOLS)
    assert seen.shape == (3, 7, 9, 7)
    assert torch.equal(seen[:, : CODES[0]].argmax(1), picture[..., 0].long())
    assert torch.equal(seen.sum(1), torch.full((3, 9, 7), 2.0))
    image = torch.tensor([[[[0, 255, 51]], [[255, 0, 0]]]], dtype=torch.uint8)  # two rows, one column
    drawn = planes(image, Sight("image", (2, 1, 3)))
    assert drawn.shape == (1, 3, 1, 2), "the first axis of places is x"
    assert drawn[0, :, 0, 0].tolist() == pytest.approx([-0.5, 0.5, -0.3])


def test_a_symbol_that_training_never_saw_is_refused() -> None:
    picture = pictures(1)
    picture[0, 0, 0, 0] = CODES[0]
    with pytest.raises(ValueError, match="symbols of channel 0 with code 4; seen were 0 to 3"):
        planes(picture, SYMBOLS)


def test_features_that_stand_out_have_mean_0_and_spread_1_in_each_picture() -> None:
    features = 3 + 5 * torch.randn(4, 6, 9, 7)
    seen = standing_out(features)
    assert seen.mean((-2, -1)).abs().max() < 1e-5
    assert (seen.std((-2, -1)) - 1).abs().max() < 1e-2


def test_the_latent_begins_with_the_mean_place_of_each_attention_map() -> None:
    torch.manual_seed(0)
    encoder = PictureEncoder(SYMBOLS, settings(maps=1, latent_dim=6))
    with torch.no_grad():
        # A map that looks at nothing in particular is in the middle; one that looks at the last column is there.
        encoder.attention.weight.zero_()
        middle = encoder(pictures(1, 2))
        assert middle[..., :2].abs().max() < 1e-5
    what = torch.randn(1, 16, 9, 7)
    assert encoder.attention(what).shape == (1, 1, 9, 7)


def test_what_moves_in_a_picture_moves_the_place_and_nothing_else_that_depends_on_it() -> None:
    """A glimpse reads the same tokens wherever the same neighbourhood stands."""
    memory = torch.randn(2, 9, 7, 4)
    glimpse = Glimpse(2, MemorySettings(channels=4, dilations=(1,)))
    moved = memory.roll((2, 1), (1, 2))
    here = torch.tensor([[[-1.0, 0.0]], [[-1.0, 0.0]]]) * 2 * PLACE  # two places left of the middle
    there = here + torch.tensor([2.0, 1.0]) * PLACE
    assert torch.allclose(glimpse(here, memory), glimpse(there, moved), atol=1e-5)


@pytest.mark.parametrize(("x", "y"), [(0, 0), (8, 6), (3, 5)])
def test_a_glimpse_at_a_place_reads_its_token(x: int, y: int) -> None:
    memory = torch.randn(1, 9, 7, 4)
    glimpse = Glimpse(2, MemorySettings(channels=4, dilations=(1,), glimpse=0))
    latent = PLACE * torch.tensor([[[x - 4.0, y - 3.0]]])
    assert torch.allclose(glimpse(latent, memory)[0, 0], memory[0, x, y], atol=1e-5)


def test_glimpses_lie_between_places_continuously_and_pass_gradients() -> None:
    memory = torch.arange(9.0)[None, :, None, None].expand(1, 9, 7, 1).contiguous()
    glimpse = Glimpse(2, MemorySettings(channels=1, dilations=(1,), glimpse=0))
    latent = torch.tensor([[[0.25 * PLACE, 0.0]]], requires_grad=True)
    read = glimpse(latent, memory)
    assert read.item() == pytest.approx(4.25)
    read.sum().backward()
    assert latent.grad is not None
    assert latent.grad[0, 0].tolist() == pytest.approx([1 / PLACE, 0.0], abs=1e-5)


def test_latents_without_places_have_no_glimpse() -> None:
    with pytest.raises(ValueError, match="has none; set memory null"):
        Glimpse(0, MemorySettings())
    world = World((1, 1), 2, sight=Sight("vector", (3,)))
    with pytest.raises(ValueError, match="shows a vector; set memory null"):
        Level(settings(encoder="vector"), 0, 2, world)


def test_an_encoder_of_something_else_than_is_shown_is_refused() -> None:
    with pytest.raises(ValueError, match="encoder image for a world that shows symbols"):
        Level(settings(encoder="image"), 0, 4, World((9, 7), 4, sight=SYMBOLS))
    with pytest.raises(ValueError, match="shows a state"):
        Level(settings(), 0, 4, World((9, 7), 4))


def images(*lead: int) -> Tensor:
    """Random images (*lead, 12, 16, 3)."""
    return torch.randint(0, 256, (*lead, 12, 16, 3), dtype=torch.uint8)


def test_eyes_that_look_into_patches_begin_as_those_that_do_not_and_find_places_between_patches() -> None:
    sight = Sight("image", (12, 16, 3))
    torch.manual_seed(0)
    coarse = PictureEncoder(sight, settings(encoder="image", patch=4))
    fine = PictureEncoder(sight, settings(encoder="image", patch=4, fine=True))
    missing = fine.load_state_dict(coarse.state_dict(), strict=False).missing_keys
    assert {name.split(".")[0] for name in missing} == {"within"}
    seen = images(1, 5)
    assert torch.equal(fine(seen), coarse(seen))
    fine.within[-1].bias.data = torch.tensor([0.5, -1.0])
    moved = (fine(seen) - coarse(seen))[..., : fine.places] / PLACE
    half, whole = moved.split(2, -1)
    assert torch.allclose(half, torch.full_like(half, 0.5), atol=1e-5), "x of both maps, in patches"
    assert torch.allclose(whole, torch.full_like(whole, -1.0), atol=1e-5), "y of both maps"
    assert torch.equal(fine(seen)[..., fine.places :], coarse(seen)[..., fine.places :])


@pytest.mark.parametrize("changes", [{}, {"patch": 2}, {"encoder": "vector", "patch": 2}, {"encoder": "image"}])
def test_there_is_nothing_within_a_place_that_is_no_patch(changes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="fine is true with encoder"):
        settings(fine=True, memory=None, **changes)


@pytest.mark.parametrize("frames", [1, 2])
def test_a_moved_picture_has_everything_further_down_and_right(frames: int) -> None:
    image = torch.arange(5 * 4).view(1, 5, 4, 1).expand(1, 5, 4, 3 * frames)
    there = moved(image, torch.tensor(1), torch.tensor(-2))
    assert torch.equal(there[:, 1:, :2], image[:, :-1, 2:])
    assert torch.equal(there[:, 0], there[:, 1]) and torch.equal(there[:, :, 2], there[:, :, 3]), "as it ends"


@pytest.mark.parametrize("kind", ["symbols", "image"])
def test_places_that_follow_along_the_other_axis_are_told_so(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A picture moved one place along x: eyes whose first place moves so pay nothing, those that swap axes do."""
    image = kind == "image"
    sight = Sight("image", (12, 20, 3)) if image else SYMBOLS
    encoder = PictureEncoder(sight, settings(encoder=kind, patch=4 if image else 1, maps=1, latent_dim=6))
    step = 4 if image else 1
    monkeypatch.setattr(torch, "randint", lambda *_, **__: torch.tensor([[step, 0]]))
    seen = torch.zeros(1, 1, *sight.shape, dtype=torch.uint8)
    x_axis = 3 if image else 2
    seen.select(x_axis, seen.shape[x_axis] // 2).fill_(1)

    def where(axis: int) -> None:
        def look(pictures: Tensor, memory: Tensor | None = None) -> Tensor:
            along = (pictures[..., 0] > 0).float().amax(3 if x_axis == 2 else 2)
            place = PLACE / step * along.argmax(-1).float()
            latent = torch.zeros(*place.shape, 6)
            latent[..., axis] = place
            return latent

        monkeypatch.setattr(encoder, "forward", look)

    for axis, right in ((0, True), (1, False)):
        where(axis)
        assert (encoder.shift_loss(seen, encoder(seen)).item() < 1e-6) == right


def test_what_moves_a_picture_by_whole_patches_moves_the_places_of_eyes_that_do_not_leak_and_costs_nothing() -> (
    None
):
    """A red dot on black, looked at by hand-made eyes: moved by pixels, places of patches stay behind by up to one."""
    black = torch.zeros(1, 1, 24, 24, 3, dtype=torch.uint8)
    black[..., 8:12, 12:16, 0] = 255
    encoder = PictureEncoder(
        Sight("image", (24, 24, 3)), settings(encoder="image", patch=4, maps=1, latent_dim=6)
    )

    class Red(torch.nn.Module):
        def forward(self, seen: Tensor) -> Tensor:
            red = torch.nn.functional.avg_pool2d(planes(seen, encoder.sight)[:, :1], 4)
            return 100 * red.expand(-1, 16, -1, -1)

    encoder.stem, encoder.features = Red(), torch.nn.Identity()
    encoder.attention.weight.data.fill_(10.0)
    latent = encoder(black)
    assert (latent[0, 0, :2] / PLACE).tolist() == pytest.approx([0.5, -0.5], abs=1e-3), (
        "patch 3 along x, 2 along y"
    )
    losses = []
    for seed in range(40):
        torch.manual_seed(seed)
        way = torch.randint(-4, 5, (1, 2))[0]
        torch.manual_seed(seed)
        loss = encoder.shift_loss(black, latent).item()
        losses.append(loss)
        if (way % 4 == 0).all():
            assert loss < 1e-5
    assert 0.02 < sum(losses) / len(losses) < 0.5


class Own(torch.nn.Module):
    sees = "symbols"

    def __init__(self, given: object) -> None:
        super().__init__()


def test_a_shift_needs_places_that_are_found_in_a_picture() -> None:
    loss = LossWeights(shift=1.0)
    with pytest.raises(
        ValueError, match="loss.shift is 1.0, but its latent .encoder vector, normalize false. has no"
    ):
        settings(encoder="vector", memory=None, loss=loss)
    with pytest.raises(ValueError, match="normalize true"):
        settings(memory=None, normalize=True, loss=loss)
    with pytest.raises(ValueError, match="with encoder .*:Own, which finds no places"):
        Level(settings(encoder=f"{__name__}:Own", memory=None, loss=loss), 0, 2, World((9, 7), 2, sight=SYMBOLS))
    level = Level(settings(loss=loss), 0, 2, World((9, 7), 2, sight=SYMBOLS))
    below, actions = pictures(2, 3, 4), torch.eye(2)[torch.zeros(2, 3, 3, dtype=torch.int64)]
    total, terms = level.losses(below, actions, level.write(below[:, 0, 0]), 0.5)
    assert terms["shift"] > 0
    total.backward()
    assert level.encoder.attention.weight.grad is not None


def walk(count: int, steps: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """A dot that walks right, left, down or up over an empty picture and stays at its edges.

    Returns:
        pictures (1, n, steps + 1, 9, 7, 2), one-hot actions (1, n, steps, 4), places (1, n, steps + 1, 2).
    """
    generator = torch.Generator().manual_seed(seed)
    moves = torch.tensor([[1, 0], [-1, 0], [0, 1], [0, -1]])
    action = torch.randint(0, 4, (count, steps), generator=generator)
    place = torch.stack([torch.randint(0, n, (count,), generator=generator) for n in (9, 7)], -1)
    places = [place]
    for step in range(steps):
        place = (
            (place + moves[action[:, step]])
            .clamp(min=torch.zeros(2, dtype=torch.long))
            .minimum(torch.tensor([8, 6]))
        )
        places.append(place)
    at = torch.stack(places, 1)
    picture = torch.zeros(count, steps + 1, 9, 7, 2, dtype=torch.uint8)
    rows = torch.arange(count)[:, None].expand(-1, steps + 1)
    picture[rows, torch.arange(steps + 1).expand(count, -1), at[..., 0], at[..., 1], 0] = 3
    return picture[None], torch.eye(4)[action][None], at[None]


def test_a_level_finds_what_moves_without_being_told() -> None:
    """Some hundred steps on pictures of a walking dot: the latent's places are where it is, imagined ones as well."""
    torch.manual_seed(0)
    level = Level(settings(), 0, 4, World((9, 7), 4, sight=SYMBOLS))
    optimiser = torch.optim.AdamW(level.parameters(), lr=4e-3)
    for step in range(250):
        seen, action, _ = walk(32, 3, step)
        loss, _ = level.losses(seen, action, level.write(seen[:, 0, 0]), 0.0)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    seen, action, at = walk(128, 3, 10_000)
    with torch.no_grad():
        latent, memory = level.encode(seen, None), level.write(seen[:, 0, 0])
        imagined = latent[:, :, 0]
        for step in range(3):
            imagined = level.advance(imagined, level.condition(imagined, memory), action[:, :, step])

    def linear_error(latents: Tensor, places: Tensor) -> float:
        """Of the best linear reading of places, as a share of their variance."""
        inputs = torch.cat([latents, torch.ones_like(latents[:, :1])], 1).double()
        wanted = places.double()
        read = inputs @ torch.linalg.lstsq(inputs, wanted).solution
        return float((read - wanted).square().mean() / wanted.var(0).mean())

    assert linear_error(latent[..., :4].flatten(0, 2), at.flatten(0, 2)) < 0.25
    assert linear_error(latent.flatten(0, 2), at.flatten(0, 2)) < 0.05
    assert linear_error(imagined[0], at[0, :, 3]) < 0.15


def test_permuted_codes_change_nothing_but_the_order_of_planes() -> None:
    picture = pictures(2)
    order = torch.tensor([2, 0, 3, 1])
    permuted = picture.clone()
    permuted[..., 0] = order[picture[..., 0].long()].to(torch.uint8)
    assert torch.equal(planes(permuted, SYMBOLS)[:, order], planes(picture, SYMBOLS)[:, : CODES[0]])


def test_names_of_symbols_mean_nothing() -> None:
    """Codes permuted, and the first weights with them: the same level, loss and gradients. Those weights are drawn
    alike, so training on permuted codes is training from another seed."""
    world = World((9, 7), 7, sight=SYMBOLS)
    torch.manual_seed(0)
    level, other = (Level(settings(), 0, 7, world) for _ in range(2))
    orders = [torch.tensor([2, 0, 3, 1]), torch.tensor([1, 2, 0])]
    planes_order = torch.cat([orders[0], len(orders[0]) + orders[1]])
    other.load_state_dict(level.state_dict())
    for part in (other.encoder.stem, other.writer.stem):  # type: ignore[union-attr]
        weight = part.around.weight.data
        weight[:, planes_order] = weight.clone()
    below = torch.cat([torch.randint(0, n, (2, 4, 4, 9, 7, 1)) for n in CODES], -1).to(torch.uint8)
    renamed = torch.stack([order[below[..., i].long()] for i, order in enumerate(orders)], -1).to(torch.uint8)
    actions = torch.eye(7)[torch.randint(0, 7, (2, 4, 3))]
    found = []
    for one, shown in ((level, below), (other, renamed)):
        loss, _ = one.losses(shown, actions, one.write(shown[:, 0, 0]), 0.5)
        loss.backward()
        found.append((loss.item(), one.predictor.outputs.weight.grad))
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-4)
    assert torch.allclose(found[0][1], found[1][1], rtol=1e-3, atol=1e-5)


def two_moments(distance: int) -> Tensor:
    """Two grey pictures (1, 1, 8, 8, 2) of a bright dot that goes so many pixels to the right between them."""
    frames = torch.full((1, 1, 8, 8, 2), 90, dtype=torch.uint8)
    frames[0, 0, 3, 2, 0] = 250
    frames[0, 0, 3, 2 + distance, 1] = 250
    return frames


def test_two_moments_say_how_far_places_have_moved() -> None:
    torch.manual_seed(0)
    sight = Sight("image", (8, 8, 2), frames=2)
    encoder = PictureEncoder(sight, settings(encoder="image", patch=1))
    assert encoder.pace is not None
    with torch.no_grad():
        now = encoder(two_moments(2))[0, 0]
        parts = [encoder._look(two_moments(2)[0, :, ..., i : i + 1])[0][0] for i in range(2)]
        still = encoder(two_moments(0))[0, 0]
    assert torch.equal(now[:4], parts[1]), "places are the latest"
    assert torch.allclose(now[4:8], encoder.pace * (parts[1] - parts[0])), "and moves follow them"
    assert torch.equal(still[4:8], torch.zeros(4)), "what stands still does not move"


def test_moves_are_measured_in_what_training_pictures_show() -> None:
    torch.manual_seed(0)
    sight = Sight("image", (8, 8, 2), frames=2)
    encoder = PictureEncoder(sight, settings(encoder="image", patch=1))
    with torch.no_grad():
        encoder.attention.weight.mul_(50)  # eyes that know where to look
    shown = torch.cat([two_moments(distance)[0] for distance in (0, 1, 2, 3)])
    encoder.standardise(shown)
    with torch.no_grad():
        moved = encoder(shown[None])[0, :, 4:8].std(0)
    assert moved.max() == pytest.approx(1.0, abs=1e-3), "what moves has spread 1"
    assert (moved < 1.001).all(), "and what does not is not blown up"


def test_moments_must_leave_room_in_the_latent() -> None:
    with pytest.raises(ValueError, match="latent_dim 12 with 2 maps and 3 frames"):
        PictureEncoder(Sight("image", (8, 8, 3), frames=3), settings(encoder="image"))


def test_memory_is_written_of_the_latest_moment() -> None:
    torch.manual_seed(0)
    world = World((8, 8), 2, 0, True, 0, Sight("image", (8, 8, 2), frames=2))
    level = Level(settings(encoder="image", patch=1), 0, 2, world)
    one, other = two_moments(2)[0], two_moments(2)[0].clone()
    other[..., 0] = 17
    first, second = (level.write(each) for each in (one, other))
    assert first is not None and second is not None
    assert torch.equal(first, second)
