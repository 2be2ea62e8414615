import{a,b}from"./chunk-F7CBTMFX.js";import"./chunk-XOXTL5JX.js";import"./chunk-QQFDOKSW.js";import"./chunk-ONFQWQRN.js";export{b as Place,a as default};
