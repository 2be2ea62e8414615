import{a,b}from"./chunk-OV2LX7JI.js";import"./chunk-GYMEZ6SG.js";import"./chunk-YGLY2FDH.js";import"./chunk-4AT35NJ7.js";import"./chunk-ONFQWQRN.js";export{b as default,a as hosts};
