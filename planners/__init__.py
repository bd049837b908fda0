"""Search in any differentiable model: propose, refine, select; and a top-down planner over a list of models.

Nothing here has heard of JEPA or of an environment. A model is whatever satisfies `planners.protocols.Model`;
the tests plan in models written by hand.

How to choose:

| refiner | for |
|---|---|
| `AdamRefiner` | the default: gradient descent from many starts, discrete actions relaxed on the simplex |
| `RefitRefiner` | no gradients: cross-entropy method (elites) or MPPI (softmax weights) |
| `CategoricalRefiner` | discrete actions: a smoothed categorical distribution per step, fitted to elites |
| `ColouredRefiner` | iCEM: coloured noise, elites kept, fewer candidates in every round |
| `NoRefiner` | what the proposals alone achieve; with `EnumerationProposal` exhaustive search |

Shapes: E episodes, N candidates, H steps, D numbers per latent, A per action: ``(E, N, H, D)``.
"""
