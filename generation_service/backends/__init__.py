"""The engines that make media, one package each, behind one interface."""
