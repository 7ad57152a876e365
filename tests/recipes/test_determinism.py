import json


def test_a_training_of_the_recipes_repeats_itself(recipe, folder):
    done = recipe("experiment=tabular_mlp", "trainer.max_steps=3", "hydra.run.dir=same", script="determinism")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Bit for bit the same: two runs with the same seed agree in everything over 3 batches." in done.stdout
    assert json.loads((folder / "same" / "determinism.json").read_text())["identical"] is True
